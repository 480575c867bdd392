import type { Action } from '../plan.ts';
import { exists, heldBy, type PoolView } from '../view.ts';

/** A worker that serves nothing by then will not: it is replaced. */
export const START_DEADLINE_MS = 60_000;

export function markEnded({ workers }: PoolView): Action[] {
  return workers
    .filter((worker) => !exists(worker))
    .map((worker) => ({
      kind: 'markGone',
      worker: worker.id,
      reason: worker.stopping ? 'it ended as it was asked to' : 'its process has ended',
    }));
}

export function deleteEmpty({ workers }: PoolView): Action[] {
  return workers
    .filter((worker) => exists(worker) && worker.admission === 'draining' && !worker.stopping && !worker.leaving)
    .filter((worker) => heldBy(worker).length === 0)
    .map((worker) => ({
      kind: 'delete',
      worker: worker.id,
      force: false,
      reason: 'drained: no calls, no leases, no relayed sockets, no unsent records',
    }));
}

/** One whose image, settings or place is missing is left: another would wait for the same. */
export function replaceStuck({ workers }: PoolView): Action[] {
  return workers
    .filter((worker) => worker.presence === 'starting' && worker.leases === 0 && !worker.leaving && !worker.stopping)
    .filter(
      ({ ageMs, trouble, admission }) =>
        admission === 'draining' || (ageMs > START_DEADLINE_MS && (!trouble || trouble.kind === 'crashLoop')),
    )
    .map((worker) => ({
      kind: 'delete',
      worker: worker.id,
      force: true,
      reason:
        worker.admission === 'draining'
          ? 'it is not needed and never served'
          : `it did not serve within ${START_DEADLINE_MS / 1000} s of its start`,
    }));
}
