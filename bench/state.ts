import { startRedis } from '../test/support/redis.ts';
import { type Contender, measureRounds } from './state/contenders.ts';
import { keyBuildNs } from './state/keys.ts';
import { measureTiers, type TierTimes } from './state/latency.ts';
import { median, rounded } from './state/statistics.ts';
import { openStateBench } from './state/workload.ts';

export interface StateResult {
  ratios: {
    'checkpoint/bareScript': number;
    'sealedCheckpoint/bareScript': number;
    /** The context did not change, as in most turns. */
    'sealedTurn/bareScript': number;
  };
  keyBuildNs: number;
  /** Share of one core that checkpoints of 2,000 calls cost with a turn every five seconds, sealing included. */
  coreShareFor2000Calls: number;
  tiers: TierTimes;
}

const TARGETS = { checkpoint: 1.3, sealedCheckpoint: 2.5, keyBuildNs: 300 };
const CALLS = 2_000;
const TURN_SECONDS = 5;
/** The caller's words and the answer are written one after the other. */
const CHECKPOINTS_PER_TURN = 2;

/** What a checkpoint costs its worker, against one bare script call of the same bytes on the same redis-server. */
export async function runState(options: { json: boolean }): Promise<StateResult> {
  const redis = await startRedis();
  const bench = await openStateBench(redis.url);
  try {
    const rounds = await measureRounds(bench);
    const over = (name: Contender, base: Contender) =>
      rounded(median(rounds.map((round) => round[name].cpuMicros / round[base].cpuMicros)), 2);
    const sealedMicros = median(rounds.map((round) => round.sealed.cpuMicros));
    const result: StateResult = {
      ratios: {
        'checkpoint/bareScript': over('ready', 'bare'),
        'sealedCheckpoint/bareScript': over('sealed', 'bare'),
        'sealedTurn/bareScript': over('sealedTurn', 'bare'),
      },
      keyBuildNs: Math.round(keyBuildNs()),
      coreShareFor2000Calls: rounded((sealedMicros * CALLS * CHECKPOINTS_PER_TURN) / TURN_SECONDS / 1e6, 3),
      tiers: await measureTiers(),
    };
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else process.stdout.write(table(rounds, result));
    return result;
  } finally {
    await bench.close();
    await redis[Symbol.asyncDispose]();
  }
}

function table(rounds: Awaited<ReturnType<typeof measureRounds>>, result: StateResult): string {
  const cpu = (name: Contender) => median(rounds.map((round) => round[name].cpuMicros)).toFixed(1);
  const rows = [
    ['', 'measured', 'target'],
    ['bare script call, client CPU us', cpu('bare'), ''],
    ['checkpoint, bytes ready, us', cpu('ready'), ''],
    ['checkpoint, serialised in clear, us', cpu('plain'), ''],
    ['checkpoint, serialised and sealed, us', cpu('sealed'), ''],
    ['the same, context unchanged, us', cpu('sealedTurn'), ''],
    ['checkpoint / bare script', `${result.ratios['checkpoint/bareScript']}`, `<= ${TARGETS.checkpoint}`],
    [
      'sealed checkpoint / bare script',
      `${result.ratios['sealedCheckpoint/bareScript']}`,
      `<= ${TARGETS.sealedCheckpoint}`,
    ],
    ['the same, context unchanged', `${result.ratios['sealedTurn/bareScript']}`, ''],
    ['one key, ns', `${result.keyBuildNs}`, `<= ${TARGETS.keyBuildNs}`],
    [`${CALLS} calls, a turn every ${TURN_SECONDS} s, share of a core`, `${result.coreShareFor2000Calls}`, ''],
  ];
  rows.push(...tierRows(result.tiers));
  return `${rows.map(([name = '', value = '', target = '']) => `${name.padEnd(62)}${value.padStart(12)}${target.padStart(10)}`).join('\n')}\n`;
}

/** Beside what the two source documents say of each tier. */
function tierRows(tiers: TierTimes): string[][] {
  return [
    ['', '', ''],
    ['a hundred calls on loopback, by their histograms', 'measured', 'target'],
    ['memory, one read, ns (documents: microseconds)', `${tiers.memoryReadNs}`, ''],
    ['Redis p95, ms (documents: sub-second, sub-millisecond)', `<= ${tiers.redisP95Ms}`, '< 2'],
    ['Redis p99, ms', `<= ${tiers.redisP99Ms}`, '< 5'],
    ['memory to Redis p99, ms', `<= ${tiers.persistP99Ms}`, '< 10'],
    ['Redis to Cosmos DB p50, ms (documents: 1 to 5 s, 1 to 10 ms)', `<= ${tiers.archiveP50Ms}`, ''],
    ['Redis to Cosmos DB p95, ms', `<= ${tiers.archiveP95Ms}`, '< 100'],
  ];
}
