import { type Condition, isTrouble } from './finding.ts';
import type { RolloutPhase } from './rollout/types.ts';
import { callsOf, exists, isAdmitting, isReady, type PoolView, type WorkerView } from './view.ts';
import { type DrainRow, drainRows, waitingFor } from './waiting.ts';

export interface PoolStatus {
  readonly observedGeneration: number;
  /** Workers that admit calls: the number that `/scale` speaks of. */
  readonly replicas: number;
  readonly readyWorkers: number;
  readonly wantedWorkers: number;
  readonly drainingWorkers: number;
  /** Calls in progress, those of draining workers included. */
  readonly activeCalls: number;
  /** Slots of ready workers. */
  readonly capacity: number;
  readonly utilizationPercent: number;
  readonly redis: 'Available' | 'Recovering' | 'Unavailable';
  readonly phase: PoolPhase;
  /** The revision that has proven itself. */
  readonly revision: string;
  /** The revision of the document; another one during a roll-out. */
  readonly updateRevision: string;
  readonly rollout: { readonly phase: RolloutPhase; readonly message: string; readonly failed: boolean };
  readonly oldestCallSeconds: number | undefined;
  readonly lastScaling: LastScaling | undefined;
  /** Workers that are being emptied; bounded. */
  readonly drains: readonly DrainRow[];
  readonly conditions: readonly Condition[];
  /** In words, what the pool waits for; bounded. */
  readonly waitingFor: readonly string[];
  readonly workers: readonly WorkerStatusRow[];
}

export type PoolPhase =
  /** Enough workers, nothing under way. */
  | 'Ready'
  /** Workers are made, rolled or drained. */
  | 'Progressing'
  /** A condition says what people have to look at. */
  | 'Degraded'
  /** The pool was deleted and waits for its calls. */
  | 'Terminating';

/** The last change of the number of workers. */
export interface LastScaling {
  /** ISO 8601, for people. */
  readonly time: string;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

export interface WorkerStatusRow {
  readonly id: string;
  readonly incarnation: string | undefined;
  readonly presence: WorkerView['presence'];
  readonly admission: WorkerView['admission'];
  readonly ready: boolean;
  readonly revision: string;
  readonly slots: number;
  readonly calls: number | undefined;
  readonly relayedSockets: number | undefined;
  readonly unsentRecords: number | undefined;
  readonly ageSeconds: number;
  readonly figuresAgeSeconds: number | undefined;
  readonly endpoint: string | undefined;
}

const REDIS_WORDS = { available: 'Available', recovering: 'Recovering', unavailable: 'Unavailable' } as const;
const WAITING_MAX = 20;
const DRAINS_MAX = 32;
/** Trouble that leaves every call of the pool as it is: the phase does not speak of it, its condition does. */
const BESIDES: ReadonlySet<string> = new Set([
  'ScalingFrozen',
  'ScalingLimited',
  'ReplicasContended',
  'MemoryBaselineHigh',
  'RedisScaleNeeded',
]);

/** The pool as it is, from one view. Pure. */
export function statusOf(
  view: PoolView,
  options: {
    generation: number;
    wanted: number;
    conditions: readonly Condition[];
    lastScaling: LastScaling | undefined;
  },
): PoolStatus {
  const { wanted, conditions } = options;
  const ready = view.workers.filter(isReady);
  const calls = view.workers.reduce((total, worker) => total + (exists(worker) ? (callsOf(worker) ?? 0) : 0), 0);
  const capacity = ready.reduce((total, worker) => total + worker.slots, 0);
  return {
    observedGeneration: options.generation,
    replicas: view.workers.filter(isAdmitting).length,
    readyWorkers: ready.length,
    wantedWorkers: wanted,
    drainingWorkers: view.workers.filter((worker) => exists(worker) && worker.admission === 'draining').length,
    activeCalls: calls,
    capacity,
    utilizationPercent: capacity === 0 ? 0 : Math.round((100 * calls) / capacity),
    redis: REDIS_WORDS[view.redis.state],
    phase: phaseOf(conditions),
    revision: view.rollout.stable,
    updateRevision: view.rollout.update,
    rollout: { phase: view.rollout.phase, message: view.rollout.reason, failed: view.rollout.failed },
    oldestCallSeconds: oldestCall(view.workers),
    lastScaling: options.lastScaling,
    drains: drainRows(view).slice(0, DRAINS_MAX),
    conditions,
    waitingFor: waitingFor(view, wanted).slice(0, WAITING_MAX),
    workers: view.workers.map(rowOf),
  };
}

function phaseOf(conditions: readonly Condition[]): PoolPhase {
  const isTrue = (type: Condition['type']) => conditions.some((one) => one.type === type && one.status === 'True');
  if (isTrue('Terminating')) return 'Terminating';
  if (conditions.some((condition) => isTrouble(condition) && !BESIDES.has(condition.type))) return 'Degraded';
  return isTrue('Progressing') ? 'Progressing' : 'Ready';
}

function oldestCall(workers: readonly WorkerView[]): number | undefined {
  const ages = workers.flatMap((worker) => (exists(worker) ? (worker.figures?.oldestCallSeconds ?? []) : []));
  return ages.length === 0 ? undefined : Math.max(...ages);
}

function rowOf(worker: WorkerView): WorkerStatusRow {
  return {
    id: worker.id,
    incarnation: worker.incarnation,
    presence: worker.presence,
    admission: worker.admission,
    ready: isReady(worker),
    revision: worker.revision,
    slots: worker.slots,
    calls: callsOf(worker),
    relayedSockets: worker.figures?.relayedSockets,
    unsentRecords: worker.figures?.unsentRecords,
    ageSeconds: Math.round(worker.ageMs / 1000),
    figuresAgeSeconds: worker.figuresAgeMs === undefined ? undefined : Math.round(worker.figuresAgeMs / 1000),
    endpoint: worker.endpoint,
  };
}
