import type { Action } from '../plan.ts';
import { exists, hasUsableHost, isAdmitting, isReady, type PoolView } from '../view.ts';
import { UNREACHABLE_REASON } from './hosts.ts';

/** A serving worker that tells nothing for this long is taken for frozen. */
export const SILENT_MS = 20_000;
const SILENT_REASON = 'it gives no figures';
/** Cordons that the planner itself has set, and takes back. */
const OWN_CORDONS: ReadonlySet<string | undefined> = new Set([SILENT_REASON, UNREACHABLE_REASON]);

/** A frozen worker takes no calls and is stood in for. When many are silent at once the fault is rather on our side, and nothing is done. */
export function cordonSilent({ workers }: PoolView): Action[] {
  const admitting = workers.filter((worker) => isAdmitting(worker) && worker.presence === 'serving');
  const silent = admitting.filter((worker) => (worker.figuresAgeMs ?? worker.ageMs) > SILENT_MS);
  const tolerable = Math.max(1, Math.floor(admitting.length / 3));
  if (silent.length > tolerable || !admitting.some(isReady)) return [];
  return silent.map((worker) => ({ kind: 'cordon', worker: worker.id, reason: SILENT_REASON }));
}

export function admitRevived({ workers }: PoolView): Action[] {
  return workers
    .filter((worker) => exists(worker) && worker.admission === 'cordoned' && OWN_CORDONS.has(worker.admissionReason))
    .filter((worker) => worker.figures !== undefined && hasUsableHost(worker))
    .map((worker) => ({ kind: 'admit', worker: worker.id, reason: 'it gives figures again, and its node is well' }));
}
