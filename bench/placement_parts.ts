import type { RingRecord } from '../contract/records.ts';
import { systemClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { createRegistry } from '../platform/metrics.ts';
import { RedisKeyManager } from '../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../state/leases/lease_table.ts';
import type { LeaseTable } from '../state/ports.ts';
import { RedisClient } from '../state/redis/client.ts';
import { defineScript } from '../state/redis/script.ts';

type PlaceRequest = Parameters<LeaseTable['place']>[0];

export const IN_FLIGHT = 64;
const SLOTS = 20;
/** Calls that stand all the time, per worker: a placement is measured in a pool that works, not in an empty one. */
const STANDING = 5;

/** What one round trip costs by itself. */
export const emptyScript = defineScript({ name: 'benchEmpty', keys: [], lua: 'return 1' });

/** Twelve commands as a placement has to do at least: three each of SET, GET, HSET and ZADD, with one record of a call's size. */
export const twelveCommands = defineScript({
  name: 'benchTwelve',
  keys: ['text', 'more', 'last', 'hash', 'other', 'third', 'set', 'order', 'rank'],
  lua: `
local id, record = ARGV[1], ARGV[2]
redis.call('SET', textKey, id, 'PX', 600000)
redis.call('GET', textKey)
redis.call('HSET', hashKey, id, record)
redis.call('ZADD', setKey, 0, id)
redis.call('SET', moreKey, id, 'PX', 600000)
redis.call('GET', moreKey)
redis.call('HSET', otherKey, id, id)
redis.call('ZADD', orderKey, id, id)
redis.call('SET', lastKey, id, 'PX', 600000)
redis.call('GET', lastKey)
redis.call('HSET', thirdKey, id, id)
redis.call('ZADD', rankKey, id, id)
return id`,
});

export function openClient(url: string): RedisClient {
  return new RedisClient({
    url,
    role: 'fastFail',
    clock: systemClock,
    log: silentLog,
    registry: createRegistry({ processMetrics: false }),
    // A loaded machine may stop the server for longer than the call path would wait; a benchmark should measure it, not end.
    limits: { commandTimeoutMs: 10_000, socketTimeoutMs: 20_000 },
  });
}

/** Runs `work` for each of `count` numbers, `IN_FLIGHT` at a time; the seconds it took. */
export async function flood(count: number, work: (index: number) => Promise<unknown>): Promise<number> {
  const startMs = systemClock.monotonicMs();
  let next = 0;
  const loop = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  return (systemClock.monotonicMs() - startMs) / 1000;
}

/** Microseconds of server time per script run since `resetServerTime`. */
export async function serverTimeMicros(client: RedisClient): Promise<number> {
  const info = await client.command<string>('INFO', 'commandstats');
  const found = /cmdstat_evalsha:calls=(\d+),usec=(\d+)/.exec(info);
  if (!found) throw new Error('the server counted no script runs');
  return Number(found[2]) / Number(found[1]);
}

export async function resetServerTime(client: RedisClient): Promise<void> {
  await client.command('CONFIG', 'RESETSTAT');
}

/** A pool of live, admitting workers, each with some calls. */
export class BenchPool {
  readonly workers: number;
  readonly table: RedisLeaseTable;
  #placed: { callRef: string; fence: number; incarnation: string }[] = [];
  #serial = 0;

  constructor(client: RedisClient, workers: number) {
    this.workers = workers;
    const keys = new RedisKeyManager({ environment: 'test' });
    const pool = { namespace: 'bench', pool: `w${workers}` };
    // Nobody beats or renews here, so what would lapse in seconds lasts for the whole run.
    const hourMs = 3_600_000;
    const times = { heartbeatMs: hourMs, leaseMs: hourMs, ringingMs: hourMs };
    this.table = new RedisLeaseTable({ client, keys, pool, times });
  }

  async fill(): Promise<void> {
    await this.table.confirmRecovery(1);
    await flood(this.workers, async (index) => {
      const worker = `bench-${index}`;
      const endpoint = `http://10.0.${index >> 8}.${index & 255}:8081`;
      const both = { v: 1, worker, endpoint, slots: SLOTS };
      await this.table.writeAffinity({ ...both, state: 'admitting', revision: 'r1', controllerFence: 1 });
      const figures = { memoryBytes: 1, memoryLimitBytes: 2, memoryBaselineBytes: 1, eventLoopLagMs: 0 };
      const counts = { activeCalls: 0, relayedSockets: 0, unsentRecords: 0 };
      await this.table.beat({ ...both, incarnation: 'i1', admits: true, ...figures, ...counts });
    });
    const standing = this.requests(this.workers * STANDING);
    await flood(standing.length, (index) => this.place(standing[index]));
    this.#placed = [];
  }

  /** Requests as a worker has them once it has read the event: making them is no part of a placement. */
  requests(count: number): PlaceRequest[] {
    return Array.from({ length: count }, () => {
      const serial = this.#serial++;
      const newCallRef = `b${String(serial).padStart(19, '0')}`;
      return { ring: ringOf(`${this.workers}-${serial}`), newCallRef, strategy: 'Spread' };
    });
  }

  async place(request: PlaceRequest | undefined): Promise<void> {
    if (!request) throw new Error('there is no request left');
    const outcome = await this.table.place(request);
    if (outcome.kind !== 'placed') throw new Error(`a placement was answered ${outcome.kind}`);
    const { callRef, fence, incarnation } = outcome.lease;
    this.#placed.push({ callRef, fence, incarnation });
  }

  /** Ends what was placed since `fill` or the last call, so that there is always room. */
  async release(): Promise<void> {
    const ended = this.#placed;
    this.#placed = [];
    await flood(ended.length, async (index) => {
      const owner = ended[index];
      if (owner) await this.table.release(owner);
    });
  }
}

const CONTEXT = 'sealed-context-'.repeat(40);

/** A ring of the size that Event Grid sends, about 900 bytes as a record. */
export function ringOf(id: string): RingRecord {
  const identity = 'b7c1d2e3-0000-4000-8000-1234567890ab';
  return {
    v: 1,
    ringId: `ring-${id}`,
    correlationId: identity,
    incomingCallContext: CONTEXT,
    from: `4:+155501${id}`,
    to: `8:acs:${identity}`,
    serverCallId: `aHR0cHM6Ly9-${identity}`,
  };
}
