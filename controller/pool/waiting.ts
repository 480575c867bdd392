import {
  callsOf,
  drainSecondsOf,
  exists,
  heldBy,
  isAdmitting,
  isReady,
  type PoolView,
  type WorkerView,
} from './view.ts';

/** What a draining worker is still waited for, or undefined when it is not draining or empty. */
export function waitedFor(worker: WorkerView): string | undefined {
  if (!exists(worker) || worker.admission !== 'draining') return undefined;
  const held = heldBy(worker);
  return held.length > 0 ? `${worker.id} drains: ${held.join(', ')}` : undefined;
}

/** In words, what the pool waits for. */
export function waitingFor(view: PoolView, wanted: number): string[] {
  const waits: string[] = [];
  const starting = view.workers.filter((worker) => isAdmitting(worker) && !isReady(worker));
  if (starting.length > 0) waits.push(`${starting.map((worker) => worker.id).join(', ')} to serve`);
  const missing = wanted - view.workers.filter(isAdmitting).length - view.pendingCreates.length;
  if (missing > 0 && view.crashes.holdMs > 0) {
    waits.push(
      `${Math.ceil(view.crashes.holdMs / 1000)} s before the next start, after ${view.crashes.streak} early ends`,
    );
  }
  waits.push(...view.workers.flatMap((worker) => waitedFor(worker) ?? []));
  return waits;
}

/** One worker that is being emptied, as the status shows it. */
export interface DrainRow {
  readonly worker: string;
  readonly reason: string;
  readonly calls: number | undefined;
  readonly oldestCallSeconds: number | undefined;
  /** Seconds from now; the status turns it into a time of day. */
  readonly expectedSeconds: number | undefined;
  readonly waitingFor: string;
}

export function drainRows(view: PoolView): DrainRow[] {
  return view.workers
    .filter((worker) => exists(worker) && worker.admission === 'draining')
    .map((worker) => ({
      worker: worker.id,
      reason: worker.admissionReason ?? '',
      calls: callsOf(worker),
      oldestCallSeconds: worker.figures?.oldestCallSeconds,
      expectedSeconds: drainSecondsOf(view, worker),
      waitingFor: heldBy(worker).join(', ') || 'its end',
    }));
}
