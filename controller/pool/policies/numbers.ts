import type { Action } from '../plan.ts';
import { byVictimOrder, candidatesOf } from '../victims.ts';
import { callsOf, exists, isCapacity, type PoolView, type WorkerView } from '../view.ts';
import { oldWorkers } from './roll.ts';

/** Workers made in one pass: a burst of starts would slow each of them down. */
const CREATES_PER_PASS = 16;

/** One that stands in for a worker out of reach may get out of reach in the same way: so many times the number that is wanted is the end of it. */
const STAND_IN_FACTOR = 2;

/** Workers that are counted together. */
interface Group {
  readonly holds: (revision: string) => boolean;
  readonly target: number;
  /** Of which revision a missing one is made. */
  readonly revision: string;
  readonly note: string;
}

/** How many workers of which revision shall admit calls. */
export function groups(view: PoolView, wanted: number): readonly Group[] {
  const { phase, stable, update } = view.rollout;
  const { canary, maxSurge } = view.spec.update;
  if (view.deleting) return [];
  switch (phase) {
    case 'Canary':
      return [
        { holds: (revision) => revision !== update, target: wanted, revision: stable, note: '' },
        { holds: (revision) => revision === update, target: canary.workers, revision: update, note: ' (canary)' },
      ];
    case 'RolledBack':
      return [{ holds: (revision) => revision !== update, target: wanted, revision: stable, note: '' }];
    case 'Paused':
      return [{ holds: () => true, target: wanted, revision: stable, note: '' }];
    case 'Rolling':
    case 'Stable': {
      const surge = Math.min(maxSurge, oldWorkers(view).length);
      const note = surge > 0 ? ` (${surge} more for the roll-out)` : '';
      return [{ holds: () => true, target: wanted + surge, revision: update, note }];
    }
  }
}

export function retireSurplus(view: PoolView, wanted: number): Action[] {
  return groups(view, wanted).flatMap(({ holds, target }) => {
    const members = view.workers.filter((worker) => isCapacity(worker) && holds(worker.revision));
    const surplus = members.length - target;
    if (surplus <= 0) return [];
    const ranked = byVictimOrder(
      view,
      members.filter((worker) => callsOf(worker) !== undefined),
    );
    const candidates = candidatesOf(view, ranked);
    return ranked.slice(0, surplus).map(
      (worker): Action => ({
        kind: 'drain',
        worker: worker.id,
        reason: `${members.length} workers admit calls, ${target} are wanted; it goes first: ${describe(worker)}`,
        candidates,
      }),
    );
  });
}

export function createMissing(view: PoolView, wanted: number): Action[] {
  if (view.crashes.holdMs > 0 || view.blocked !== undefined) return [];
  return groups(view, wanted).flatMap(({ holds, target, revision, note }) => {
    const standing = view.workers.filter((worker) => isCapacity(worker) && holds(worker.revision)).length;
    const pending = view.pendingCreates.filter(holds).length;
    const lost = view.workers.filter((worker) => isOutOfReach(worker) && holds(worker.revision)).length;
    const missing = Math.min(target, STAND_IN_FACTOR * target - lost) - standing - pending;
    const reason = `${standing} of ${target} workers admit calls${note}`;
    return Array.from(
      { length: Math.max(0, Math.min(missing, CREATES_PER_PASS)) },
      (): Action => ({ kind: 'create', revision, reason }),
    );
  });
}

/** Others stand in for it, and it may well live. */
function isOutOfReach(worker: WorkerView): boolean {
  return exists(worker) && worker.host?.state === 'unreachable' && worker.admission !== 'draining' && !worker.leaving;
}

function describe(worker: WorkerView): string {
  const calls = callsOf(worker) ?? 0;
  return calls === 0 ? 'it has no calls' : `its ${calls} calls are expected to end first`;
}
