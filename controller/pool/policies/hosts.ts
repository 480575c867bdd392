import type { Action } from '../plan.ts';
import { exists, isAdmitting, isCapacity, isReady, type PoolView } from '../view.ts';

/** Marks a cordon of our own, which ends by itself. */
export const UNREACHABLE_REASON = 'its node gives no sign of life';
/** A worker on an unreachable node that has told nothing for this long, and holds no lease, has died with it. */
export const LOST_MS = 40_000;

/** A node that is being emptied: its workers take no new calls, as soon as somebody else can. */
export function emptyLeavingHosts(view: PoolView): Action[] {
  const leaving = view.workers.filter((worker) => isAdmitting(worker) && worker.host?.state === 'leaving');
  if (leaving.length === 0 || !view.workers.some((worker) => isReady(worker) && isCapacity(worker))) return [];
  const deadlineMs = view.spec.drain.externalDeadlineSeconds * 1000;
  return leaving.map((worker) => ({
    kind: 'drain',
    worker: worker.id,
    reason: `its node ${worker.host?.name} is being emptied`,
    deadlineMs,
  }));
}

/** The worker may well go on with its calls, so nothing is taken from it; new ones go elsewhere. */
export function cordonUnreachable(view: PoolView): Action[] {
  if (!view.workers.some((worker) => isReady(worker) && isCapacity(worker))) return [];
  return view.workers
    .filter((worker) => isAdmitting(worker) && worker.host?.state === 'unreachable')
    .map((worker) => ({ kind: 'cordon', worker: worker.id, reason: UNREACHABLE_REASON }));
}

/** Its kubelet cannot confirm the end of it, and will not come to. Others hold its calls by now: it has no lease. */
export function abandonLost(view: PoolView): Action[] {
  return view.workers
    .filter((worker) => exists(worker) && worker.host?.state === 'unreachable' && !worker.leaving)
    .filter((worker) => worker.leases === 0 && (worker.figuresAgeMs ?? worker.ageMs) > LOST_MS)
    .map((worker) => ({
      kind: 'delete',
      worker: worker.id,
      force: true,
      reason: `its node ${worker.host?.name} is gone, and with it every sign of the worker for ${LOST_MS / 1000} s`,
    }));
}
