import { decide, initialMemory } from '../../controller/pool/scaling/decide.ts';
import type { ScalingDecision, ScalingInput, ScalingMemory } from '../../controller/pool/scaling/types.ts';
import { type Random, seededRandom } from '../../platform/random.ts';
import { aSpec } from './pool_views.ts';

const MIB = 2 ** 20;
export const LIMIT_BYTES = 512 * MIB;
/** How long a refused call counts as demand, as the controller counts it. */
const DEMAND_WINDOW_S = 60;

export interface ModelOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly slots: number;
  readonly minWorkers: number;
  readonly maxWorkers: number;
  /** From the order until a worker takes calls. */
  readonly startDelayS: number;
  /** Age of the figures that a decision sees. */
  readonly metricsDelayS: number;
  readonly meanCallS: number;
  /** Erlang that are offered in that second: arrivals per second times mean length. */
  readonly offered: (second: number) => number;
  /** Share of refused callers who ring again after ten seconds. */
  readonly redialShare: number;
  /** Idle resident memory by the limit, and its noise. */
  readonly baselineShare: number;
  readonly baselineNoiseShare?: number;
  readonly perCallBytes: number;
  /** Neither figures nor leases of this worker are known in that second. */
  readonly isLost?: (second: number, worker: number) => boolean;
  /** Redis cannot say how many calls were refused. */
  readonly refusedUnknown?: (second: number) => boolean;
  /** Every worker ends in that second, with its calls. */
  readonly killAllAt?: number;
  /** The controller ends, and its successor starts with nothing but the workers that stand. */
  readonly restartsAt?: readonly number[];
}

export interface ModelSecond {
  readonly second: number;
  readonly wanted: number;
  readonly ready: number;
  readonly calls: number;
  readonly refused: number;
  /** Of this second, if one was due. */
  readonly decision: ScalingDecision | undefined;
}

interface ModelWorker {
  readonly id: number;
  readonly readyAtS: number;
  admitting: boolean;
  /** When each of its calls ends. */
  calls: number[];
  /** Calls at the end of each of the last seconds, newest last. */
  history: number[];
}

/** A pool in one-second steps: callers, workers and the runtime are the model, the decisions are the real rule. */
export class ScalingModel {
  readonly #options: ModelOptions;
  readonly #random: Random;
  readonly #scaling: ScalingInput['scaling'];
  #memory: ScalingMemory;
  #workers: ModelWorker[] = [];
  #nextId = 0;
  #refused: { atS: number; count: number }[] = [];
  readonly #redials = new Map<number, number>();

  constructor(options: ModelOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#scaling = { ...aSpec().scaling, mode: 'Automatic', intervalSeconds: 5 };
    this.#memory = initialMemory(0, options.minWorkers, options.maxWorkers);
    this.#follow(-options.startDelayS);
  }

  run(): ModelSecond[] {
    return Array.from({ length: this.#options.seconds }, (_, second) => this.#step(second));
  }

  #step(second: number): ModelSecond {
    const { killAllAt, restartsAt, minWorkers, maxWorkers } = this.#options;
    if (second === killAllAt) this.#workers = [];
    const refused = this.#callersOf(second);
    if (restartsAt?.includes(second)) {
      const standing = this.#workers.filter(({ admitting }) => admitting).length;
      this.#memory = initialMemory(standing, minWorkers, maxWorkers);
    }
    let decision: ScalingDecision | undefined;
    if (second % this.#scaling.intervalSeconds === 0) {
      const outcome = decide(this.#memory, this.#input(second));
      this.#memory = outcome.memory;
      decision = outcome.decision;
    }
    this.#follow(second);
    const calls = this.#workers.reduce((total, worker) => total + worker.calls.length, 0);
    const ready = this.#workers.filter(({ admitting, readyAtS }) => admitting && readyAtS <= second).length;
    return { second, wanted: this.#memory.wanted, ready, calls, refused, decision };
  }

  /** Calls end, calls come; gives how many found no slot. */
  #callersOf(second: number): number {
    const { slots, meanCallS, offered, redialShare } = this.#options;
    for (const worker of this.#workers) worker.calls = worker.calls.filter((endS) => endS > second);
    this.#workers = this.#workers.filter(({ admitting, calls }) => admitting || calls.length > 0);
    const arrivals = poisson(offered(second) / meanCallS, this.#random) + (this.#redials.get(second) ?? 0);
    this.#redials.delete(second);
    let refused = 0;
    for (let n = 0; n < arrivals; n++) {
      const free = this.#workers.filter(
        ({ admitting, readyAtS, calls }) => admitting && readyAtS <= second && calls.length < slots,
      );
      const [best] = free.sort((a, b) => a.calls.length - b.calls.length);
      if (best) best.calls.push(second - meanCallS * Math.log(1 - this.#random.fraction()));
      else refused += 1;
    }
    const again = Math.round(refused * redialShare);
    if (again > 0) this.#redials.set(second + 10, (this.#redials.get(second + 10) ?? 0) + again);
    if (refused > 0) this.#refused.push({ atS: second, count: refused });
    this.#refused = this.#refused.filter(({ atS }) => second - atS <= DEMAND_WINDOW_S);
    for (const { calls, history } of this.#workers) {
      history.push(calls.length);
      if (history.length > 60) history.shift();
    }
    return refused;
  }

  /** What the runtime does: makes workers at once, drains the emptiest, lets a drained one go when its last call has ended. */
  #follow(second: number): void {
    const admitting = this.#workers.filter((worker) => worker.admitting);
    for (let n = admitting.length; n < this.#memory.wanted; n++) {
      const readyAtS = second + this.#options.startDelayS;
      this.#workers.push({ id: this.#nextId++, readyAtS, admitting: true, calls: [], history: [] });
    }
    const surplus = admitting.sort((a, b) => a.calls.length - b.calls.length);
    for (const worker of surplus.slice(0, Math.max(0, admitting.length - this.#memory.wanted)))
      worker.admitting = false;
  }

  #input(second: number): ScalingInput {
    const { slots, minWorkers, maxWorkers, isLost, refusedUnknown } = this.#options;
    return {
      nowMs: second * 1000,
      ...{ minWorkers, maxWorkers, slotsPerWorker: slots, memoryLimitBytes: LIMIT_BYTES, scaling: this.#scaling },
      workers: this.#workers.map((worker) => this.#row(worker, second, isLost?.(second, worker.id) ?? false)),
      refusedCalls: refusedUnknown?.(second) ? undefined : this.#refused.reduce((total, { count }) => total + count, 0),
      ...{
        offered: undefined,
        scheduleFloor: 0,
        redisFull: false,
        spoolFull: false,
        requestedReplicas: undefined,
        floorUntilMs: undefined,
      },
    };
  }

  #row(worker: ModelWorker, second: number, lost: boolean): ScalingInput['workers'][number] {
    const { metricsDelayS, baselineShare, baselineNoiseShare = 0, perCallBytes } = this.#options;
    const id = `w-${worker.id}`;
    const { admitting } = worker;
    const serving = worker.readyAtS <= second;
    const blank = { memoryBytes: undefined, memoryBaselineBytes: undefined, memoryLimitBytes: undefined };
    // One that has not started has no lease either: its calls are known to be none.
    if (lost || !serving) return { id, admitting, known: false, calls: lost ? undefined : 0, ...blank };
    const calls = worker.history.at(-1 - metricsDelayS) ?? 0;
    const noise = baselineNoiseShare * this.#random.fraction();
    return {
      ...{ id, admitting, known: true, calls, memoryLimitBytes: LIMIT_BYTES },
      memoryBaselineBytes: baselineShare * LIMIT_BYTES,
      memoryBytes: (baselineShare + noise) * LIMIT_BYTES + calls * perCallBytes,
    };
  }
}

/** Knuth's method, in parts that keep exp(-mean) from vanishing. */
function poisson(mean: number, random: Random): number {
  let total = 0;
  for (let left = mean; left > 0; left -= 100) {
    const limit = Math.exp(-Math.min(left, 100));
    for (let product = random.fraction(); product > limit; product *= random.fraction()) total += 1;
  }
  return total;
}
