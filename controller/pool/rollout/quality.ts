import { isReady, type WorkerView } from '../view.ts';
import { NO_CALLS } from './judge.ts';
import type { RevisionQuality } from './types.ts';

/** Trouble that the revision itself brings: another node or more time would not help. */
const OWN_TROUBLE: ReadonlySet<string | undefined> = new Set(['image', 'configuration', 'crashLoop']);
/** A worker that serves nothing for this long does not start, though nothing says why. */
const START_LIMIT_MS = 60_000;

/** What calls experienced on the workers of one revision, summed over those that are there. */
export function qualityOf(workers: readonly WorkerView[], revision: string): RevisionQuality {
  return workers
    .filter((worker) => worker.revision === revision && !worker.stopping)
    .reduce((total, worker) => add(total, worker), NO_CALLS);
}

function add(total: RevisionQuality, worker: WorkerView): RevisionQuality {
  const { figures, trouble } = worker;
  const silent = worker.presence === 'starting' && worker.ageMs > START_LIMIT_MS && trouble?.kind !== 'unschedulable';
  const broken = worker.presence !== 'serving' && (OWN_TROUBLE.has(trouble?.kind) || silent);
  return {
    ready: total.ready + (isReady(worker) ? 1 : 0),
    broken: total.broken + (broken ? 1 : 0),
    brokenReason:
      total.brokenReason ?? (broken ? `${worker.id}: ${trouble?.message ?? 'it serves nothing'}` : undefined),
    setups: total.setups + (figures?.experience?.setups ?? 0),
    setupFailures: total.setupFailures + (figures?.experience?.setupFailures ?? 0),
    responses: total.responses + (figures?.experience?.responses ?? 0),
    responseSeconds: total.responseSeconds + (figures?.experience?.responseSeconds ?? 0),
  };
}
