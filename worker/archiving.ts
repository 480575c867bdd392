import type { TokenCredential } from '@azure/identity';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';
import type { Registry } from '../platform/metrics.ts';
import type { Random } from '../platform/random.ts';
import type { CallKeys } from '../state/calls/keys.ts';
import { CALL_TTLS } from '../state/calls/ttls.ts';
import { CosmosArchive } from '../state/cosmos/archive.ts';
import type { CosmosDatabase } from '../state/cosmos/client.ts';
import { CosmosMetrics } from '../state/cosmos/metrics.ts';
import type { RecordTransport } from '../state/messaging/record_transport.ts';
import type { MESSAGING_SETTINGS } from '../state/messaging/settings.ts';
import { Archiver } from '../state/outbox/archiver.ts';
import { ForeignSweep } from '../state/outbox/foreign_sweep.ts';
import { ArchiveMetrics } from '../state/outbox/metrics.ts';
import { OrphanFinaliser } from '../state/outbox/orphan.ts';
import type { CallArchive } from '../state/outbox/ports.ts';
import { OutboxStream } from '../state/outbox/stream.ts';
import type { CallStore, LeaseTable } from '../state/ports.ts';
import type { ProfileSource } from '../state/profiles/profiles.ts';
import type { RedisClient } from '../state/redis/client.ts';
import type { Sealing } from '../state/sealing/open_sealing.ts';

/** What the calls need of the archive. */
export interface Archiving {
  readonly pending: number;
  /** Undefined without Cosmos DB. */
  readonly profiles: ProfileSource | undefined;
  /** For what belongs to no call; undefined without Cosmos DB. */
  readonly direct: Pick<CallArchive, 'write'> | undefined;
  track(call: { callConnectionId: string; callRef: string; pendingIds: readonly string[] }): void;
  untrack(callConnectionId: string): void;
  holds(callRef: string): boolean;
  /** A checkpoint put these ids into the call's stream. */
  stored(callConnectionId: string, ids: readonly string[]): void;
  start(): void;
  stop(): Promise<void>;
}

export interface ArchivingOptions {
  config: Config<typeof MESSAGING_SETTINGS>;
  credential: TokenCredential;
  /** Closed by whoever opened it. */
  database: CosmosDatabase | undefined;
  sealing: Sealing;
  redis: RedisClient;
  keys: CallKeys;
  store: CallStore;
  leases: LeaseTable;
  worker: string;
  incarnation: string;
  clock: Clock;
  random: Random;
  log: Log;
  registry: Registry;
  onArchived(callConnectionId: string, ids: readonly string[]): void;
  /** Cosmos DB refuses them for good; they stand in the call's quarantine in Redis. */
  onQuarantined(callConnectionId: string, ids: readonly string[]): void;
  /** Redis lost entries before they were archived: the owner writes them again. */
  onMissing(callConnectionId: string): void;
}

/** The archiver of this worker, on the real Cosmos DB client. */
export async function createArchiving(options: ArchivingOptions): Promise<Archiving> {
  const { database } = options;
  return database === undefined ? outboxOnly(options) : cosmosArchiving({ ...options, database });
}

/** Without Cosmos DB the outbox is the last stop: what Redis has confirmed is not kept in memory. */
function outboxOnly(options: ArchivingOptions): Archiving {
  return {
    pending: 0,
    profiles: undefined,
    direct: undefined,
    track: () => undefined,
    untrack: () => undefined,
    holds: () => false,
    stored: options.onArchived,
    start: () => options.log.warn('no Cosmos DB is configured: records stay in the outbox until their TTL'),
    stop: () => Promise.resolve(),
  };
}

async function cosmosArchiving(options: ArchivingOptions & { database: CosmosDatabase }): Promise<Archiving> {
  const { redis, keys, store, leases, worker, incarnation, clock, random, log, registry } = options;
  const { database, sealing } = options;
  const metrics = new ArchiveMetrics(registry);
  const cosmos = new CosmosArchive({
    ...{ database, clock, codec: sealing.archiveCodec, observer: new CosmosMetrics(registry) },
    onThrottled: (count) => metrics.throttled(count),
  });
  const transport = await openTransport(options, sealing.archive(cosmos));
  const { archive } = transport;
  const stream = new OutboxStream({ redis, keys, quarantineTtlMs: CALL_TTLS.outboxMs });
  const { onArchived, onQuarantined, onMissing } = options;
  const listener = { onArchived, onQuarantined, onMissing };
  const archiver = new Archiver({ stream, archive, unsent: leases, clock, random, log, metrics, listener });
  const orphans = new OrphanFinaliser({ store, archive, leases, worker, incarnation, clock });
  const foreign = new ForeignSweep({
    drain: archiver.drain,
    stream,
    archive,
    orphans,
    unsent: leases,
    tracks: (id) => archiver.tracks(id),
    worker,
    incarnation,
    clock,
    log,
    metrics,
  });
  return {
    get pending() {
      return archiver.pending;
    },
    profiles: cosmos,
    direct: cosmos,
    track: (call) => archiver.track(call),
    untrack: (id) => archiver.untrack(id),
    holds: (callRef) => orphans.holds(callRef),
    stored: (id, ids) => archiver.nudge(id, ids),
    start: () => {
      archiver.start(foreign);
      transport.start();
    },
    stop: async () => {
      await archiver.stop();
      await transport.stop();
    },
  };
}

/** The SDK of Service Bus is loaded only where records go through it. */
async function openTransport(options: ArchivingOptions, archive: CallArchive): Promise<RecordTransport> {
  if (options.config.recordTransport === 'Direct')
    return { archive, start: () => undefined, stop: () => Promise.resolve() };
  const { openRecordTransport } = await import('../state/messaging/record_transport.ts');
  return openRecordTransport({ ...options, archive });
}
