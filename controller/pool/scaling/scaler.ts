import type { PoolSpec } from '../../../contract/pool.ts';
import type { Clock } from '../../../platform/clock.ts';
import { RefusedDemand } from '../demand.ts';
import type { Finding } from '../finding.ts';
import { callsOf, exists, isAdmitting, type PoolView } from '../view.ts';
import { decide, initialMemory } from './decide.ts';
import { ScheduleClock } from './schedules.ts';
import type { ScalingDecision, ScalingInput, ScalingMemory } from './types.ts';
import { type ReplicasWrite, replicasFinding, withWrite } from './writers.ts';

/** As long as a refused call counts as demand: those that a full Redis has caused count for nothing until then. */
const REFUSED_ECHO_MS = 60_000;

/** Readings come a little early or late: one that was missed by milliseconds would be a whole period late. */
const INTERVAL_SHARE = 0.95;

/** A document stays as it is, and every pass asks. */
const texts = new WeakMap<PoolSpec, string>();

function textOf(spec: PoolSpec): string {
  const text = texts.get(spec) ?? JSON.stringify(spec);
  texts.set(spec, text);
  return text;
}

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
  #redisFullUntilMs = Number.NEGATIVE_INFINITY;
  readonly #schedules = new ScheduleClock();
  #writes: readonly ReplicasWrite[] = [];

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

  /** A write to `/scale` of before this controller's start. One that still held is a floor for its whole time again: too long rather than too short. */
  restore({ replicas, holds }: { replicas: number; holds: boolean }, spec: PoolSpec): void {
    this.#requested = replicas;
    if (holds) this.#floorUntilMs = this.#clock.monotonicMs() + spec.scaling.floorSeconds * 1000;
  }

  /** A new write to `/scale`. `manager`: who wrote it, as the server keeps book. */
  request(replicas: number, spec: PoolSpec, manager = 'unknown'): void {
    this.#requested = replicas;
    this.#writes = withWrite(this.#writes, { atMs: this.#clock.monotonicMs(), replicas, manager });
    this.#floorUntilMs =
      spec.scaling.mode === 'Automatic' ? this.#clock.monotonicMs() + spec.scaling.floorSeconds * 1000 : undefined;
    this.#lastAtMs = Number.NEGATIVE_INFINITY;
  }

  /** What is wrong with the pool's windows of time, in words. */
  scheduleFaults(spec: PoolSpec): readonly string[] {
    return this.#schedules.floor(spec.scaling.schedules, this.#clock.wallMs()).faults;
  }

  /** The condition `ReplicasContended`. */
  replicasFinding({ scaling: { mode } }: PoolSpec): Finding {
    return replicasFinding({
      mode,
      replicas: this.#requested,
      history: this.#writes,
      nowMs: this.#clock.monotonicMs(),
    });
  }

  /** `redisFull`: workers refuse calls now because Redis has no memory left. A decision when one is due, or the document has changed; else undefined. */
  decide(view: PoolView, { redisFull = false }: { redisFull?: boolean } = {}): ScalingDecision | undefined {
    if (redisFull) this.#redisFullUntilMs = view.nowMs + REFUSED_ECHO_MS;
    if (view.redis.state !== 'unavailable') this.#refused.observe(view.redis.refusedTotal, view.nowMs);
    const floor = this.#schedules.floor(view.spec.scaling.schedules, this.#clock.wallMs()).workers;
    const specText = `${floor} ${textOf(view.spec)}`;
    const due = view.nowMs - this.#lastAtMs >= INTERVAL_SHARE * view.spec.scaling.intervalSeconds * 1000;
    if (!due && specText === this.#specText) return undefined;
    this.#specText = specText;
    this.#lastAtMs = view.nowMs;
    const { memory, decision } = decide(this.#memory, this.#input(view, floor));
    this.#memory = memory;
    this.#last = decision;
    return decision;
  }

  #input(view: PoolView, scheduleFloor: number): ScalingInput {
    return {
      nowMs: view.nowMs,
      minWorkers: view.spec.minWorkers,
      maxWorkers: view.spec.maxWorkers,
      slotsPerWorker: view.spec.slotsPerWorker,
      memoryLimitBytes: view.spec.worker.memoryLimitMiB * 2 ** 20,
      scaling: view.spec.scaling,
      scheduleFloor,
      redisFull: view.nowMs < this.#redisFullUntilMs,
      offered: view.offered,
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
