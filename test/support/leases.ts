import type { AffinityRecord, HeartbeatRecord, Lease, RingRecord } from '../../contract/records.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { seededRandom } from '../../platform/random.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../../state/leases/lease_table.ts';
import type { LeaseTimes } from '../../state/leases/times.ts';
import type { HeldLease, PlaceOutcome } from '../../state/ports.ts';
import { RedisClient } from '../../state/redis/client.ts';

export const POOL = { namespace: 'local', pool: 'demo' };

/** A lease table on a real server, and what its tests say in one word. */
export async function openLeases(
  url: string,
  times: Partial<LeaseTimes> = {},
  layout: 'standalone' | 'cluster' = 'standalone',
) {
  const registry = createRegistry({ processMetrics: false });
  const limits = { commandTimeoutMs: 5000 };
  const client = new RedisClient({ url, role: 'fastFail', clock: systemClock, log: silentLog, registry, limits });
  await client.ready();
  const keys = new RedisKeyManager({ environment: 'test', layout });
  const random = seededRandom(7);
  const table = new RedisLeaseTable({ client, keys, pool: POOL, times, random });
  const timeMs = async () => {
    const [seconds, micros] = await client.command<[string, string]>('TIME');
    return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  };
  return {
    client,
    registry,
    keys,
    table,
    timeMs,
    close: () => client.close(),
    /** Empties the server and opens the pool as the controller of a new pool does. */
    async begin() {
      await client.command('FLUSHALL');
      await table.confirmRecovery(1);
    },
    /** Returns when the server's clock has passed `atMs`. */
    async passed(atMs: number) {
      for (let nowMs = await timeMs(); nowMs <= atMs; nowMs = await timeMs()) {
        await new Promise((resolve) => setTimeout(resolve, 1 + atMs - nowMs));
      }
    },
    async worker(worker: string, slots: number, incarnation = `${worker}-1`) {
      await table.writeAffinity(affinityOf(worker, slots));
      await table.beat(heartbeatOf(worker, slots, incarnation));
    },
    async load(worker: string) {
      return (await table.summary()).calls[worker];
    },
    /** Every key of the server with the milliseconds it has left; -1 is a key that would stay for ever. */
    async ttls(): Promise<Map<string, number>> {
      const names = await client.command<string[]>('KEYS', '*');
      const left = await Promise.all(names.map((name) => client.command<number>('PTTL', name)));
      const found = names.map((name, index): [string, number] => [name, left[index] ?? -1]);
      // -2: it expired between the two commands.
      return new Map(found.filter(([, leftMs]) => leftMs !== -2));
    },
  };
}
export type Leases = Awaited<ReturnType<typeof openLeases>>;

export function affinityOf(worker: string, slots: number, fields: Partial<AffinityRecord> = {}): AffinityRecord {
  return {
    v: 1,
    worker,
    state: 'admitting',
    endpoint: `http://${worker}:1`,
    slots,
    revision: 'r1',
    controllerFence: 1,
    ...fields,
  };
}

export function heartbeatOf(worker: string, slots: number, incarnation = `${worker}-1`): HeartbeatRecord {
  return {
    v: 1,
    worker,
    incarnation,
    endpoint: `http://${worker}:1`,
    activeCalls: 0,
    slots,
    memoryBytes: 1,
    memoryLimitBytes: 2,
    memoryBaselineBytes: 1,
    eventLoopLagMs: 0,
    relayedSockets: 0,
    unsentRecords: 0,
    admits: true,
  };
}

export function ringOf(id: string): RingRecord {
  return {
    v: 1,
    ringId: `ring-${id}`,
    correlationId: id,
    incomingCallContext: 'sealed',
    from: 'a',
    to: 'b',
    serverCallId: 's',
  };
}

export function callRefOf(id: string): string {
  return `call0000${id}`;
}

export function heldOf(lease: Lease): HeldLease {
  const { callRef, fence, callConnectionId, ring, placedAtMs } = lease;
  return { callRef, fence, callConnectionId, ring, placedAtMs };
}

export function placed(outcome: PlaceOutcome): Lease {
  if (outcome.kind !== 'placed') throw new Error(`not placed: ${outcome.kind}`);
  return outcome.lease;
}
