import { join } from 'node:path';
import type { Clock } from '../platform/clock.ts';
import { errorCode } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import type { Registry } from '../platform/metrics.ts';
import type { Random } from '../platform/random.ts';
import type { CallKeys } from '../state/calls/keys.ts';
import { dedupeId } from '../state/calls/store.ts';
import { CALL_TTLS } from '../state/calls/ttls.ts';
import type { RecordCodec } from '../state/envelope.ts';
import type { LeaseTable, OutboxEntry } from '../state/ports.ts';
import type { RedisClient } from '../state/redis/client.ts';
import { SpoolBringer } from '../state/spool/bringer.ts';
import { spoolFolder } from '../state/spool/folders.ts';
import type { SpoolRecord } from '../state/spool/frames.ts';
import { SpoolMetrics } from '../state/spool/metrics.ts';
import { Spool } from '../state/spool/spool.ts';

/** The call's side of the spool. */
export interface CallSpool {
  /** Redis could not take these entries: they are written to this machine's disk. Never rejects: memory has them as well. */
  keep(call: { callConnectionId: string; callRef: string }, entries: readonly OutboxEntry[]): Promise<void>;
  /** Redis has them now. */
  settle(callConnectionId: string, entryIds: readonly string[]): void;
}

export interface Spooling extends CallSpool {
  /** False while what room is left is for the calls that are under way. */
  readonly admits: boolean;
  readonly records: number;
  start(): void;
  stop(): Promise<void>;
}

export interface SpoolingOptions {
  parent: string;
  maxBytes: number;
  incarnation: string;
  codec: RecordCodec;
  redis: RedisClient;
  keys: CallKeys;
  leases: Pick<LeaseTable, 'enterUnsent'>;
  clock: Clock;
  random: Random;
  log: Log;
  registry: Registry;
}

/** Records that Redis cannot take now, on the disk of this machine: a killed worker loses nothing that was spooled. */
export function createSpooling(options: SpoolingOptions): Spooling {
  const { parent, maxBytes, incarnation, codec, redis, keys, leases, clock, random, log, registry } = options;
  const metrics = new SpoolMetrics(registry);
  const spool = new Spool({ directory: spoolFolder(parent, incarnation), maxBytes, log, metrics });
  const bringer = new SpoolBringer({
    ...{ parent, redis, keys, clock, random, log, metrics },
    unsent: leases,
    outboxTtlMs: CALL_TTLS.outboxMs,
  });
  return {
    get admits() {
      return spool.admits;
    },
    get records() {
      return spool.records;
    },
    async keep(call, entries) {
      try {
        const fresh = entries.filter(({ id }) => !spool.has({ ...call, entryId: id }));
        await spool.keep(await Promise.all(fresh.map((entry) => sealed(codec, call, entry))));
      } catch (error) {
        log.debug({ callRef: call.callRef, code: errorCode(error) }, 'records of a call are in memory alone');
      }
    },
    settle: (callConnectionId, entryIds) => spool.settle(callConnectionId, entryIds),
    start: () => bringer.start(),
    stop: async () => {
      await bringer.stop();
      await spool.close();
    },
  };
}

/** Spools stand in a folder of their own, since every process of the machine looks through it. */
export function spoolParent(settings: { spoolDir: string | undefined; workDir: string }): string {
  return settings.spoolDir ?? join(settings.workDir, 'spool');
}

async function sealed(
  codec: RecordCodec,
  { callConnectionId, callRef }: { callConnectionId: string; callRef: string },
  entry: OutboxEntry,
): Promise<SpoolRecord> {
  const text = await codec.seal({ kind: entry.kind, id: `${callConnectionId}/${entry.id}` }, entry.body);
  const tag = codec.tag?.(text);
  return {
    ...{ callConnectionId, callRef, text },
    ...{ entryId: entry.id, kind: entry.kind, dedupeId: tag === undefined ? dedupeId(entry) : dedupeId(entry, tag) },
  };
}
