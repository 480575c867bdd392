import { systemClock } from '../platform/clock.ts';
import type { RedisClient } from '../state/redis/client.ts';
import { startRedis } from '../test/support/redis.ts';
import {
  BenchPool,
  emptyScript,
  flood,
  IN_FLIGHT,
  openClient,
  resetServerTime,
  ringOf,
  serverTimeMicros,
  twelveCommands,
} from './placement_parts.ts';

export interface PlacementResult {
  ratios: { 'place/emptyScript': number; 'serverTime/twelveCommands': number };
  growth100to10000: number;
  p99MsAt2000: number;
}

/** Many short rounds: what is compared then runs within a tenth of a second of each other. */
const ROUNDS = 30;
/** A pool of 100 workers must have room for them. */
const OPERATIONS = 1000;
const PACE_ROUNDS = 9;
const PACE_PER_SECOND = 2000;
const PACE_SECONDS = 1;

interface Round {
  emptyPerSecond: number;
  placePerSecond: number;
  twelveMicros: number;
  placeMicros: number;
  micros100: number;
  micros10000: number;
}

/** Placement against bare scripts on a redis-server of its own. Rounds are interleaved and medians taken, so that a slow moment of the machine hits both sides. */
export async function runPlacement(options: { workers: number; json: boolean }): Promise<PlacementResult> {
  const redis = await startRedis();
  const client = openClient(redis.url);
  try {
    await client.ready();
    const pools = new Map<number, BenchPool>();
    for (const workers of new Set([options.workers, 100, 10_000])) pools.set(workers, new BenchPool(client, workers));
    for (const pool of pools.values()) await pool.fill();
    const pick = (workers: number) => pools.get(workers) ?? new BenchPool(client, workers);
    const [main, small, large] = [pick(options.workers), pick(100), pick(10_000)];
    await round(client, main, small, large);
    const rounds: Round[] = [];
    for (let index = 0; index < ROUNDS; index += 1) rounds.push(await round(client, main, small, large));
    const paced: number[][] = [];
    for (let index = 0; index < PACE_ROUNDS; index += 1) paced.push(await pace(main));
    const result = summarise(rounds, paced);
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else process.stdout.write(table(options.workers, rounds, paced, result));
    return result;
  } finally {
    await client.close();
    await redis[Symbol.asyncDispose]();
  }
}

async function round(client: RedisClient, main: BenchPool, small: BenchPool, large: BenchPool): Promise<Round> {
  const measure = async (work: (index: number) => Promise<unknown>) => {
    await resetServerTime(client);
    const seconds = await flood(OPERATIONS, work);
    return { perSecond: OPERATIONS / seconds, micros: await serverTimeMicros(client) };
  };
  const placing = async (pool: BenchPool) => {
    const requests = pool.requests(OPERATIONS);
    const measured = await measure((index) => pool.place(requests[index]));
    await pool.release();
    return measured;
  };
  const record = JSON.stringify(ringOf('twelve'));
  const keys = twelveCommands.keys.map((name) => `bench:${name}`);
  const empty = await measure(() => client.run(emptyScript, [], []));
  const place = await placing(main);
  // Fresh names, since a placement inserts too; overwriting the same ones would compare it with commands that change little.
  const twelve = await measure((index) => client.run(twelveCommands, keys, [1_000_000 + index, record]));
  await client.command('UNLINK', ...keys);
  const atSmall = await placing(small);
  const atLarge = await placing(large);
  return {
    emptyPerSecond: empty.perSecond,
    placePerSecond: place.perSecond,
    twelveMicros: twelve.micros,
    placeMicros: place.micros,
    micros100: atSmall.micros,
    micros10000: atLarge.micros,
  };
}

/** Latencies in ms at a fixed rate, each counted from when its placement was due, so that a stall counts for all that waited. */
async function pace(pool: BenchPool): Promise<number[]> {
  const total = PACE_PER_SECOND * PACE_SECONDS;
  const requests = pool.requests(total);
  const startMs = systemClock.monotonicMs();
  const latencies: number[] = [];
  const running: Promise<void>[] = [];
  for (let sent = 0; sent < total; ) {
    const dueMs = startMs + (sent * 1000) / PACE_PER_SECOND;
    if (systemClock.monotonicMs() < dueMs) {
      // A timer, not a loop that spins: the server needs the other core.
      await new Promise((resolve) => setTimeout(resolve, 1));
      continue;
    }
    running.push(pool.place(requests[sent++]).then(() => void latencies.push(systemClock.monotonicMs() - dueMs)));
  }
  await Promise.all(running);
  await pool.release();
  return latencies;
}

function summarise(rounds: readonly Round[], paced: readonly number[][]): PlacementResult {
  const over = (pick: (round: Round) => number) => rounded(median(rounds.map(pick)));
  return {
    ratios: {
      'place/emptyScript': over((one) => one.placePerSecond / one.emptyPerSecond),
      'serverTime/twelveCommands': over((one) => one.placeMicros / one.twelveMicros),
    },
    growth100to10000: over((one) => one.micros10000 / one.micros100),
    p99MsAt2000: rounded(median(paced.map((latencies) => quantile(latencies, 0.99)))),
  };
}

function table(workers: number, rounds: readonly Round[], paced: readonly number[][], result: PlacementResult): string {
  const middle = (pick: (round: Round) => number) => median(rounds.map(pick)).toFixed(1);
  const p50 = median(paced.map((latencies) => quantile(latencies, 0.5))).toFixed(2);
  const rows = [
    ['', 'measured', 'target'],
    [`place, ${workers} workers, ${IN_FLIGHT} in flight, per second`, middle((one) => one.placePerSecond), ''],
    ['empty script, per second', middle((one) => one.emptyPerSecond), ''],
    ['place / empty script', `${result.ratios['place/emptyScript']}`, '>= 0.3'],
    ['server time of place, us', middle((one) => one.placeMicros), ''],
    ['server time of twelve commands, us', middle((one) => one.twelveMicros), ''],
    ['place / twelve commands', `${result.ratios['serverTime/twelveCommands']}`, '<= 2'],
    ['server time at 100 workers, us', middle((one) => one.micros100), ''],
    ['server time at 10,000 workers, us', middle((one) => one.micros10000), ''],
    ['growth from 100 to 10,000', `${result.growth100to10000}`, '< 1.5'],
    [`p50 at ${PACE_PER_SECOND} placements a second, ms`, p50, ''],
    [`p99 at ${PACE_PER_SECOND} placements a second, ms`, `${result.p99MsAt2000}`, '< 5'],
  ];
  return `${rows.map(([name = '', value = '', target = '']) => `${name.padEnd(56)}${value.padStart(12)}${target.padStart(10)}`).join('\n')}\n`;
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
