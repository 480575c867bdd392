import { type Bench, runTrial, type Trial, type Variant } from './trial.ts';

const HELD_SHARE = 0.995;
const HELD_DELAY_MS = 20;

/** Whether a server held a load: the frames due were sent and answered in time, at the 99th percentile within one frame's 20 ms. */
export function held(trial: Trial | undefined, answers: Variant['answers']): trial is Trial {
  if (!trial || trial.answered < trial.due * HELD_SHARE) return false;
  if (answers === 'echo') return trial.p99Us <= HELD_DELAY_MS * 1000;
  // a paced server answers in its own time: what counts is that the caller hears no gap and that its loop is as prompt as an echo has to be
  return trial.starved <= trial.answered * (1 - HELD_SHARE) && trial.loopP99Ms <= HELD_DELAY_MS;
}

export interface Comparison {
  calls: number;
  trials: Map<string, Trial[]>;
  /** Median over rounds of the CPU per frame relative to the base of the same round. */
  ratios: Map<string, number>;
}

/** Runs all variants in each round, in alternating order, so that what else the machine does meets all of them alike. */
export async function compare(
  bench: Bench,
  variants: readonly Variant[],
  base: Variant,
  calls: number,
  rounds: number,
): Promise<Comparison> {
  const trials = new Map<string, Trial[]>();
  const ratios = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    const ofRound = new Map<string, Trial>();
    for (const variant of round % 2 === 0 ? variants : [...variants].reverse()) {
      const trial = await runTrial(bench, variant, calls);
      process.stderr.write(trial ? '.' : '!');
      if (!trial) continue;
      ofRound.set(variant.name, trial);
      trials.set(variant.name, [...(trials.get(variant.name) ?? []), trial]);
    }
    const baseTrial = ofRound.get(base.name);
    if (!baseTrial) continue;
    for (const [name, trial] of ofRound)
      ratios.set(name, [...(ratios.get(name) ?? []), trial.usPerFrame / baseTrial.usPerFrame]);
  }
  return { calls, trials, ratios: new Map([...ratios].map(([name, values]) => [name, median(values)])) };
}

const PEER_LOADS = [250, 200, 150, 100, 50];

/** The largest of a few loads that a peer holds; the smallest when it holds none. */
export async function peerLoad(bench: Bench, peer: Variant): Promise<number> {
  for (const calls of PEER_LOADS) {
    // one bad moment of the machine is not the peer's fault
    for (let attempt = 0; attempt < 2; attempt++) {
      const trial = await runTrial(bench, peer, calls);
      process.stderr.write(trial ? '.' : '!');
      if (trial && trial.answered >= trial.sent * HELD_SHARE) return calls;
    }
  }
  return PEER_LOADS.at(-1) ?? 50;
}

export interface Capacity {
  calls: number;
  /** The trial nearest to that load. */
  trial: Trial | undefined;
  /** Whether it held that load with all frames answered in time: only a quiet machine shows this. */
  held: boolean;
}

/** Above this a core has nothing left for what comes in bursts. */
const FULL_CORE = 0.95;
const MAX_STEPS = 7;
const STEP_UP = 1.2;
const STEP_DOWN = 0.85;
/** A load further away than this from one that was measured is not claimed. */
const FURTHEST_BEYOND = 1.1;
/** The generator's own core is full at about this many calls. */
const MOST_CALLS = 2_800;
const FRAMES_PER_SECOND = 50;

/** What one trial says a core would hold: CPU per frame falls as load rises, so that it holds only near the load it was measured at. */
const fills = (trial: Trial): number => (FULL_CORE * 1e6) / (trial.usPerFrame * FRAMES_PER_SECOND);

/**
 * The calls that fill 95 % of one core, from the best of a few loads at which it was not overrun. CPU time is counted, not elapsed time,
 * so that what else runs on the machine moves the figure little: it can only make it smaller. `held` says whether all frames were in time too.
 */
export async function callsPerCore(
  bench: Bench,
  variant: Variant,
  estimate: number,
  budgetMs: number,
): Promise<Capacity> {
  const endMs = performance.now() + budgetMs;
  let calls = Math.min(MOST_CALLS, roundCalls(estimate));
  const trials: Trial[] = [];
  const tried = new Set<number>();
  for (let step = 0; step < MAX_STEPS && performance.now() < endMs && !tried.has(calls); step++) {
    tried.add(calls);
    const trial = await mostAnswered(bench, variant, calls);
    process.stderr.write(trial && served(trial) ? '+' : '-');
    if (trial) trials.push(trial);
    const next = trial && conclusive(trial) ? Math.min(fills(trial), calls * STEP_UP) : calls * STEP_DOWN;
    calls = Math.min(MOST_CALLS, roundCalls(next));
  }
  const valid = trials.filter(conclusive);
  const best = greatest(valid.length > 0 ? valid : trials, claimed);
  if (!best) return { calls: 0, trial: undefined, held: false };
  const most = claimed(best);
  return { calls: Math.round(most), trial: best, held: held(best, variant.answers) };
}

const SERVED_SHARE = 0.97;
const share = (trial: Trial): number => (trial.answered / trial.due) * Math.min(1, trial.framesOutPerIn);
const served = (trial: Trial): boolean => share(trial) >= SERVED_SHARE;
/** A server that left frames unanswered while its core had time to spare was kept from running by something else: its CPU per frame still counts. */
const SATURATED = 0.85;
const conclusive = (trial: Trial): boolean => served(trial) || trial.cpu < SATURATED;
const claimed = (trial: Trial): number => Math.min(fills(trial), trial.calls * FURTHEST_BEYOND);
const roundCalls = (calls: number): number => Math.max(25, Math.round(calls / 25) * 25);

function greatest(trials: readonly Trial[], by: (trial: Trial) => number): Trial | undefined {
  return [...trials].sort((a, b) => by(b) - by(a))[0];
}

const TRIES = 2;

/** The better answered of two: other work on the machine only ever makes it worse. */
async function mostAnswered(bench: Bench, variant: Variant, calls: number): Promise<Trial | undefined> {
  let best: Trial | undefined;
  for (let i = 0; i < TRIES && !(best && served(best)); i++) {
    const trial = await runTrial(bench, variant, calls);
    if (trial && (!best || share(trial) > share(best))) best = trial;
  }
  return best;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
