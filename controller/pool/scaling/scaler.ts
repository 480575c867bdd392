import type { PoolSpec } from '../../../contract/pool.ts';
import type { Clock } from '../../../platform/clock.ts';
import { RefusedDemand } from '../demand.ts';
import { callsOf, exists, isAdmitting, type PoolView } from '../view.ts';
import { decide, initialMemory } from './decide.ts';
import type { ScalingDecision, ScalingInput, ScalingMemory } from './types.ts';

/** In Automatic mode a write to `/scale` is a floor for this long. */
const SCALE_FLOOR_MS = 600_000;

/** Runs the scaling rule at the pool's interval and keeps what one decision hands to the next. */
export class Scaler {
  readonly #clock: Clock;
  readonly #refused = new RefusedDemand();
  #memory: ScalingMemory;
  #last: ScalingDecision | undefined;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #requested: number | undefined;
  #floorUntilMs: number | undefined;
  #specText = '';

  constructor(options: { spec: PoolSpec; wanted: number; clock: Clock }) {
    this.#clock = options.clock;
    this.#memory = initialMemory(options.wanted, options.spec.minWorkers, options.spec.maxWorkers);
  }

  get wanted(): number {
    return this.#memory.wanted;
  }

  get last(): ScalingDecision | undefined {
    return this.#last;
  }

  /** A write to `/scale` of before this controller's start: it counts in External mode; as a floor its time is over. */
  restore(replicas: number): void {
    this.#requested = replicas;
  }

  request(replicas: number, spec: PoolSpec): void {
    this.#requested = replicas;
    this.#floorUntilMs = spec.scaling.mode === 'Automatic' ? this.#clock.monotonicMs() + SCALE_FLOOR_MS : undefined;
    this.#lastAtMs = Number.NEGATIVE_INFINITY;
  }

  /** A decision when one is due, or the document has changed; else undefined. */
  decide(view: PoolView): ScalingDecision | undefined {
    if (view.redis.state !== 'unavailable') this.#refused.observe(view.redis.refusedTotal, view.nowMs);
    const specText = JSON.stringify(view.spec);
    const due = view.nowMs - this.#lastAtMs >= view.spec.scaling.intervalSeconds * 1000;
    if (!due && specText === this.#specText) return undefined;
    this.#specText = specText;
    this.#lastAtMs = view.nowMs;
    const { memory, decision } = decide(this.#memory, this.#input(view));
    this.#memory = memory;
    this.#last = decision;
    return decision;
  }

  #input(view: PoolView): ScalingInput {
    return {
      nowMs: view.nowMs,
      minWorkers: view.spec.minWorkers,
      maxWorkers: view.spec.maxWorkers,
      slotsPerWorker: view.spec.slotsPerWorker,
      memoryLimitBytes: view.spec.worker.memoryLimitMiB * 2 ** 20,
      scaling: view.spec.scaling,
      refusedCalls: view.redis.state === 'unavailable' ? undefined : this.#refused.within(view.nowMs),
      requestedReplicas: this.#requested,
      floorUntilMs: this.#floorUntilMs,
      workers: view.workers.filter(exists).map((worker) => ({
        id: worker.id,
        admitting: isAdmitting(worker),
        calls: callsOf(worker),
        known: worker.figures !== undefined,
        memoryBytes: worker.figures?.memoryBytes,
        memoryBaselineBytes: worker.figures?.memoryBaselineBytes,
        memoryLimitBytes: worker.figures?.memoryLimitBytes,
      })),
    };
  }
}
