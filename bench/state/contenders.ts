import type { StateBench } from './workload.ts';

/** `sealedTurn`: the context did not change, as in most turns, so that it is not sent. */
export type Contender = 'bare' | 'ready' | 'plain' | 'sealed' | 'sealedTurn';
type Figures = { cpuMicros: number };

const CONTENDERS: readonly Contender[] = ['bare', 'ready', 'plain', 'sealed', 'sealedTurn'];
/** Many short rounds: what is compared then runs within a second of each other. */
const ROUNDS = 25;
const CALLS = 64;
const TURNS = 30;

/** Client CPU of one checkpoint, by contender and round; 64 calls are in flight, each waits for its last checkpoint. */
export async function measureRounds(bench: StateBench): Promise<Record<Contender, Figures>[]> {
  const rounds: Record<Contender, Figures>[] = [];
  for (let round = -1; round < ROUNDS; round++) {
    await bench.flush();
    const figures = {} as Record<Contender, Figures>;
    // Another order each time, so that none always runs after the same neighbour.
    for (let at = 0; at < CONTENDERS.length; at++) {
      const name = CONTENDERS[(at + round + CONTENDERS.length) % CONTENDERS.length] ?? 'bare';
      figures[name] = { cpuMicros: await cpuOf(bench, name) };
    }
    // The first warms the compiler.
    if (round >= 0) rounds.push(figures);
  }
  return rounds;
}

async function cpuOf(bench: StateBench, name: Contender): Promise<number> {
  const before = process.cpuUsage();
  await Promise.all(
    Array.from({ length: CALLS }, async (_, call) => {
      for (let n = 1; n <= TURNS; n++) await bench[name](call, n);
    }),
  );
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (CALLS * TURNS);
}
