import type { PoolRef } from '../../contract/ids.ts';
import type { PoolSpec } from '../../contract/pool.ts';
import type { RuntimeWorker } from '../runtime/ports.ts';
import type { WorkerFigures } from '../sources/telemetry_parse.ts';
import { type CallLengths, expectedDrainSeconds, residualSeconds } from './drain_estimate.ts';
import type { RolloutState } from './rollout/types.ts';
import type { ScalingInput } from './scaling/types.ts';

/** One worker as one pass of the reconcile loop sees it. */
export interface WorkerView extends RuntimeWorker {
  /** Its newest figures, when they are not stale. */
  readonly figures: WorkerFigures | undefined;
  /** Age of the newest figures, stale or not; undefined when it never gave any. */
  readonly figuresAgeMs: number | undefined;
  /** The newest figures were read after its record had said that it takes no calls. */
  readonly figuresAfterCordon: boolean;
  /** Leases that name it; undefined while Redis cannot be asked. Read after `figuresAfterCordon` could be true. */
  readonly leases: number | undefined;
  /** Its own deletion is under way and not seen yet. */
  readonly leaving: boolean;
  /** Calls that may be placed on it: the pool's slots, or fewer when it says so itself. */
  readonly slots: number;
  /** Other workers on the same host, of any pool. */
  readonly neighbours: number;
}

export type RedisView =
  /** Answers; `place` and `grant` work. */
  | { readonly state: 'available'; readonly refusedTotal: number }
  /** Answers, but the pool's epoch is missing while workers serve: owners re-assert first. */
  | { readonly state: 'recovering'; readonly refusedTotal: number }
  /** Does not answer. */
  | { readonly state: 'unavailable' };

export interface CrashView {
  /** Workers that ended by themselves soon after their start, one after the other. */
  readonly streak: number;
  /** Milliseconds until the next worker may be made; 0 when it may now. */
  readonly holdMs: number;
}

/** Everything one pass decides on: taken once, never changed. */
export interface PoolView {
  readonly ref: PoolRef;
  readonly spec: PoolSpec;
  /** Which revisions are in play, and how far a roll-out has come. */
  readonly rollout: RolloutState;
  /** The pool was deleted: its workers are drained, then it goes. */
  readonly deleting: boolean;
  /** Why no worker may be made now, when something outside the document is missing. */
  readonly blocked: string | undefined;
  /** Its Redis and the key of its workers are known. */
  readonly linked: boolean;
  /** Monotonic clock of this process. */
  readonly nowMs: number;
  readonly workers: readonly WorkerView[];
  /** Revisions of the workers that were asked for and are not seen yet. */
  readonly pendingCreates: readonly string[];
  /** How long calls of this pool have lasted, while its workers tell. */
  readonly callLengths: CallLengths | undefined;
  /** Offered calls by a source besides the workers, when the pool has one. */
  readonly offered: ScalingInput['offered'];
  readonly redis: RedisView;
  /** Nobody renews the pool's epoch. Without a serving worker that is no outage. */
  readonly epochMissing: boolean;
  readonly crashes: CrashView;
}

export const exists = (worker: WorkerView): boolean => worker.presence !== 'ended';
/** Capacity: takes new calls, or will once it has started. */
export const isAdmitting = (worker: WorkerView): boolean =>
  exists(worker) && worker.admission === 'admitting' && !worker.leaving && !worker.stopping;
/** Its host takes workers, as far as anybody can tell. */
export const hasUsableHost = ({ host }: WorkerView): boolean =>
  host === undefined || host.state === 'usable' || host.state === 'unheard';
/** Capacity that will last: its host is not about to go. */
export const isCapacity = (worker: WorkerView): boolean => isAdmitting(worker) && hasUsableHost(worker);
/** Capacity that serves now. */
export const isReady = (worker: WorkerView): boolean =>
  isAdmitting(worker) && worker.presence === 'serving' && worker.figures !== undefined;

/** Calls in progress: its own figure, else its leases. The larger one, since each alone may lag behind the other. */
export function callsOf(worker: WorkerView): number | undefined {
  if (worker.figures === undefined) return worker.leases;
  return Math.max(worker.figures.activeCalls, worker.leases ?? 0);
}

/** Why a worker must not be deleted yet, in words; empty when it may be. Figures and leases must be known: unknown is not empty. */
export function heldBy(worker: WorkerView): string[] {
  const held: string[] = [];
  if (worker.leases === undefined) held.push('its leases, which Redis cannot tell now');
  else if (worker.leases > 0) held.push(`${worker.leases} leases`);
  if (!worker.figures || !worker.figuresAfterCordon) return [...held, 'figures newer than its cordon'];
  const { activeCalls, relayedSockets, unsentRecords } = worker.figures;
  if (activeCalls > 0) held.push(`${activeCalls} calls`);
  if (relayedSockets !== 0) held.push(`${relayedSockets ?? 'an unknown number of'} relayed sockets`);
  if (unsentRecords !== 0) held.push(`${unsentRecords ?? 'an unknown number of'} unsent records`);
  return held;
}

/** Seconds until its calls have ended by themselves, as calls of this pool do; undefined while its calls are unknown. */
export function drainSecondsOf(view: PoolView, worker: WorkerView): number | undefined {
  const calls = callsOf(worker);
  if (calls === undefined) return undefined;
  return calls === 0
    ? 0
    : expectedDrainSeconds(calls, residualSeconds(view.callLengths, worker.figures?.meanCallAgeSeconds ?? 0));
}
