import { EventEmitter, once } from 'node:events';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry, type Registry } from '../../platform/metrics.ts';
import { seededRandom } from '../../platform/random.ts';
import { type CosmosSimulator, startCosmosSimulator } from '../../simulators/cosmos/server.ts';
import { callKeys } from '../../state/calls/keys.ts';
import type { RedisCallStore } from '../../state/calls/store.ts';
import { CosmosArchive } from '../../state/cosmos/archive.ts';
import { openCosmos } from '../../state/cosmos/client.ts';
import { Archiver, type ArchiverOptions } from '../../state/outbox/archiver.ts';
import { ForeignSweep } from '../../state/outbox/foreign_sweep.ts';
import { ArchiveMetrics } from '../../state/outbox/metrics.ts';
import { OrphanFinaliser } from '../../state/outbox/orphan.ts';
import type { ArchiveRecord, CallArchive } from '../../state/outbox/ports.ts';
import { OutboxStream } from '../../state/outbox/stream.ts';
import { callRefOf, type Leases, openLeases, placed, ringOf } from '../support/leases.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { newStore, startCall } from './support.ts';
import { makeTls } from './tls.ts';

const HANG_LIMIT_MS = 30_000;
const KEY = Buffer.from('a master key of the simulator').toString('base64');

export interface ArchiveBench {
  redis: TestRedis;
  leases: Leases;
  store: RedisCallStore;
  simulator: CosmosSimulator;
  archive: CosmosArchive;
  stream: OutboxStream;
  stop(): Promise<void>;
}

/** Redis, the lease table and the simulator of Cosmos DB, all real on their wires. */
export async function startArchive(options: { persist?: boolean } = {}): Promise<ArchiveBench> {
  const [tls, redis] = await Promise.all([makeTls(), startRedis({ persist: options.persist ?? false })]);
  const simulator = await startCosmosSimulator({ tls, masterKey: KEY });
  const database = openCosmos({
    endpoint: simulator.endpoint,
    database: 'rtvoice',
    credential: { kind: 'key', key: KEY },
    caPem: tls.caPem,
  });
  await database.ensure();
  const leases = await openLeases(redis.url);
  await leases.begin();
  return {
    redis,
    leases,
    store: newStore(leases.client, leases.keys),
    simulator,
    archive: new CosmosArchive({ database }),
    stream: new OutboxStream({ redis: leases.client, keys: callKeys(leases.keys), quarantineTtlMs: 60_000 }),
    stop: async () => {
      database.close();
      await leases.close();
      await simulator.stop();
      await redis[Symbol.asyncDispose]();
    },
  };
}

export interface TestArchiver extends ReturnType<typeof assemble> {
  registry: Registry;
  archived: Set<string>;
  quarantined: Set<string>;
  finished: Set<string>;
  missing: Set<string>;
  /** Resolves when `done` holds; asked again after each thing the archiver tells. */
  until(done: () => boolean): Promise<void>;
  metric(name: string, labels?: Record<string, string>): Promise<number | undefined>;
}

interface ArchiverSettings {
  archive?: CallArchive;
  maxInFlight?: number;
  orphanAfterMs?: number;
  /** What the owner does besides; told after the sets. */
  owner?: Partial<Record<'archived' | 'quarantined' | 'missing', (ids: readonly string[]) => void>>;
}

/** One worker's archiver. `<call>/<id>` names a record in the sets. */
export function newArchiver(bench: ArchiveBench, worker: string, more: ArchiverSettings = {}): TestArchiver {
  const events = new EventEmitter();
  const registry = createRegistry({ processMetrics: false });
  const empty = () => new Set<string>();
  const told = { archived: empty(), quarantined: empty(), finished: empty(), missing: empty() };
  const tell = (name: 'archived' | 'quarantined' | 'missing') => (call: string, ids: readonly string[]) => {
    for (const id of ids) told[name].add(`${call}/${id}`);
    more.owner?.[name]?.(ids);
    events.emit('told');
  };
  const listener = {
    onArchived: tell('archived'),
    onQuarantined: tell('quarantined'),
    onMissing: tell('missing'),
    onFinished: (call: string) => {
      told.finished.add(call);
      events.emit('told');
    },
  };
  const archiving = assemble(bench, worker, { ...more, listener, metrics: new ArchiveMetrics(registry) });
  return {
    ...archiving,
    ...told,
    registry,
    until: async (done) => {
      // The limit turns a hang into a failure; no passing test comes near it.
      const signal = AbortSignal.timeout(HANG_LIMIT_MS);
      while (!done()) await once(events, 'told', { signal });
    },
    metric: async (name, labels = {}) => {
      const found = (await registry.getSingleMetric(name)?.get())?.values ?? [];
      return found.find((value) =>
        Object.entries(labels).every(([label, text]) => (value.labels as Record<string, unknown>)[label] === text),
      )?.value;
    },
  };
}

function assemble(
  bench: ArchiveBench,
  worker: string,
  more: ArchiverSettings & Required<Pick<ArchiverOptions, 'listener' | 'metrics'>>,
) {
  const { stream, leases, store } = bench;
  const self = { worker, incarnation: `${worker}-1` };
  const shared = {
    stream,
    archive: more.archive ?? bench.archive,
    unsent: leases.table,
    clock: systemClock,
    log: silentLog,
    metrics: more.metrics,
  };
  const { listener, maxInFlight = 16, orphanAfterMs = 0 } = more;
  const archiver = new Archiver({ ...shared, random: seededRandom(3), listener, maxInFlight, sweepMs: 50 });
  const orphans = new OrphanFinaliser({ ...shared, ...self, store, leases: leases.table });
  const tracks = (id: string) => archiver.tracks(id);
  const sweep = new ForeignSweep({ ...shared, ...self, drain: archiver.drain, orphans, tracks, orphanAfterMs });
  return { archiver, orphans, sweep, start: () => archiver.start(sweep), stop: () => archiver.stop() };
}

/** A call that `worker` was given, has answered, and archives through `own`. */
export async function answeredCall(bench: ArchiveBench, callConnectionId: string, own?: TestArchiver) {
  const id = callConnectionId.slice(5);
  const lease = placed(
    await bench.leases.table.place({ ring: ringOf(id), newCallRef: callRefOf(id), strategy: 'Spread' }),
  );
  const { callRef, fence, incarnation } = lease;
  await bench.leases.table.answered({ callRef, fence, incarnation, callConnectionId });
  own?.archiver.track({ callConnectionId, callRef });
  const manager = startCall(bench.store, callConnectionId, fence, {
    owner: { fence, incarnation },
    onStored: (call, ids) => own?.archiver.nudge(call, ids),
  });
  return { manager, lease };
}

/** Makes what is marked larger than a document may be, which a turn of ours cannot reach; all else is the real archive. */
export function oversized(archive: CallArchive, marked: string): CallArchive {
  const padded = (record: ArchiveRecord) =>
    record.body.text === marked ? { ...record, body: { ...record.body, pad: 'x'.repeat(2_200_000) } } : record;
  const { writeAll } = archive;
  return {
    readCall: (id) => archive.readCall(id),
    recordIds: (id) => archive.recordIds(id),
    write: (record) => archive.write(padded(record)),
    ...(writeAll ? { writeAll: (records) => writeAll.call(archive, records.map(padded)) } : {}),
  };
}
