import type { Action } from '../plan.ts';
import { byVictimOrder, candidatesOf } from '../victims.ts';
import { isAdmitting, isReady, type PoolView, type WorkerView } from '../view.ts';

/** The new revision was worse. Its workers take no new calls as soon as the old ones can take them all. */
export function rollBack(view: PoolView, wanted: number): Action[] {
  const { phase, stable, update } = view.rollout;
  if (phase !== 'RolledBack' || view.deleting) return [];
  const bad = view.workers.filter((worker) => isAdmitting(worker) && worker.revision === update);
  const idle = bad.filter((worker) => worker.presence === 'starting');
  const serving = byVictimOrder(
    view,
    bad.filter((worker) => worker.presence !== 'starting'),
  );
  const good = view.workers.filter((worker) => isReady(worker) && worker.revision !== update).length;
  const spare = good >= wanted ? serving.length : view.workers.filter(isReady).length - wanted;
  return [...idle, ...serving.slice(0, Math.max(0, spare))].map((worker) => ({
    kind: 'drain',
    worker: worker.id,
    reason: `roll-back: revision ${update} is given up for ${stable}`,
  }));
}

/** An old worker drains only when a ready one more than wanted stands in for it. */
export function rollForward(view: PoolView, wanted: number): Action[] {
  const { phase, update } = view.rollout;
  if ((phase !== 'Rolling' && phase !== 'Stable') || view.deleting) return [];
  const old = byVictimOrder(view, oldWorkers(view));
  const spare = view.workers.filter(isReady).length - wanted;
  if (spare <= 0) return [];
  const candidates = candidatesOf(view, old);
  return old.slice(0, spare).map((worker) => ({
    kind: 'drain',
    worker: worker.id,
    reason: `roll-out: revision ${worker.revision} is replaced by ${update}`,
    candidates,
  }));
}

/** Admitting workers of any revision but the one that all shall be of. */
export function oldWorkers(view: PoolView): WorkerView[] {
  return view.workers.filter((worker) => isAdmitting(worker) && worker.revision !== view.rollout.update);
}
