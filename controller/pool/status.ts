import type { Condition } from './conditions.ts';
import { waitedFor } from './plan.ts';
import { callsOf, exists, isAdmitting, isReady, type PoolView, type WorkerView } from './view.ts';

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
  readonly phase: 'Ready' | 'Progressing' | 'Degraded';
  readonly revision: string;
  readonly conditions: readonly Condition[];
  /** In words, what the pool waits for; bounded. */
  readonly waitingFor: readonly string[];
  readonly workers: readonly WorkerStatusRow[];
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

/** The pool as it is, from one view. Pure. */
export function statusOf(
  view: PoolView,
  options: { generation: number; wanted: number; conditions: readonly Condition[] },
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
    revision: view.revision,
    conditions,
    waitingFor: waitingFor(view, wanted).slice(0, WAITING_MAX),
    workers: view.workers.map(rowOf),
  };
}

function phaseOf(conditions: readonly Condition[]): PoolStatus['phase'] {
  const isTrue = (type: Condition['type']) => conditions.some((one) => one.type === type && one.status === 'True');
  if (!isTrue('Ready') || isTrue('WorkerCrashLoop') || isTrue('Recovering')) return 'Degraded';
  return isTrue('Progressing') ? 'Progressing' : 'Ready';
}

function waitingFor(view: PoolView, wanted: number): string[] {
  const waits: string[] = [];
  const starting = view.workers.filter((worker) => isAdmitting(worker) && !isReady(worker));
  if (starting.length > 0) waits.push(`${starting.map((worker) => worker.id).join(', ')} to serve`);
  const missing = wanted - view.workers.filter(isAdmitting).length - view.pendingCreates;
  if (missing > 0 && view.crashes.holdMs > 0) {
    waits.push(
      `${Math.ceil(view.crashes.holdMs / 1000)} s before the next start, after ${view.crashes.streak} early ends`,
    );
  }
  waits.push(...view.workers.flatMap((worker) => waitedFor(worker) ?? []));
  return waits;
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
