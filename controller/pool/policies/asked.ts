import type { Action } from '../plan.ts';
import { exists, isAdmitting, type PoolView, type WorkerView } from '../view.ts';

/** A deleted pool ends as it lived: no call is cut for it. */
export function drainAll(view: PoolView): Action[] {
  if (!view.deleting) return [];
  if (!view.linked) return endUnlinked(view);
  return view.workers
    .filter((worker) => mayDrain(worker))
    .map((worker) => ({ kind: 'drain', worker: worker.id, reason: 'the pool was deleted' }));
}

/** Nobody can tell what such workers hold. Asked to end in the platform's own way they drain by themselves, for as long as their grace lasts. */
function endUnlinked(view: PoolView): Action[] {
  return view.workers
    .filter((worker) => exists(worker) && !worker.stopping && !worker.leaving)
    .map((worker) => ({
      kind: 'delete',
      worker: worker.id,
      force: false,
      reason:
        'the pool was deleted, and its Secret does not say how to ask the worker for its calls: it drains by itself',
    }));
}

export function drainAsked(view: PoolView): Action[] {
  return view.workers
    .filter((worker) => worker.drainAsked && mayDrain(worker))
    .map((worker) => ({ kind: 'drain', worker: worker.id, reason: 'asked for by an annotation of its Pod' }));
}

const mayDrain = (worker: WorkerView): boolean =>
  isAdmitting(worker) || (worker.admission === 'cordoned' && worker.presence !== 'ended' && !worker.leaving);
