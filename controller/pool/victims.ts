import type { Candidate } from './plan.ts';
import { callsOf, drainSecondsOf, isReady, type PoolView, type WorkerView } from './view.ts';

interface Rule {
  readonly name: string;
  /** Lower goes first. */
  readonly rank: (worker: WorkerView, view: PoolView) => number;
}

/** Minutes are what people wait; seconds would decide between workers that are alike. */
const DRAIN_STEP_SECONDS = 60;
const CANDIDATES_KEPT = 20;

/** Whom to retire first. Each rule only breaks the ties that those before it leave. */
export const VICTIM_ORDER: readonly Rule[] = [
  // Every call on a victim is a wait. Unknown is taken for many: a worker that tells nothing may be full.
  { name: 'fewestCalls', rank: (worker) => callsOf(worker) ?? Number.MAX_SAFE_INTEGER },
  // With as many calls: the one whose calls are expected to end first.
  {
    name: 'shortestExpectedDrain',
    rank: (worker, view) => Math.round((drainSecondsOf(view, worker) ?? 0) / DRAIN_STEP_SECONDS),
  },
  // It would be replaced soon anyway.
  { name: 'oldRevision', rank: (worker, view) => (worker.revision === view.rollout.update ? 1 : 0) },
  // It adds nothing yet.
  { name: 'notReady', rank: (worker) => (isReady(worker) ? 1 : 0) },
  // A relayed socket is a call of another worker that would have to be waited for.
  { name: 'fewestRelayedSockets', rank: (worker) => worker.figures?.relayedSockets ?? 0 },
  { name: 'fewestUnsentRecords', rank: (worker) => worker.figures?.unsentRecords ?? 0 },
  // A node that becomes empty can be given back.
  { name: 'emptiestNode', rank: (worker) => worker.neighbours },
  // The older one has its caches warm.
  { name: 'youngest', rank: (worker) => worker.ageMs },
];

export function byVictimOrder(view: PoolView, workers: readonly WorkerView[]): WorkerView[] {
  return [...workers].sort((a, b) => {
    for (const { rank } of VICTIM_ORDER) {
      const difference = rank(a, view) - rank(b, view);
      if (difference !== 0) return difference;
    }
    return a.id.localeCompare(b.id);
  });
}

/** What the choice was between, for those who ask why; bounded. */
export function candidatesOf(view: PoolView, ranked: readonly WorkerView[]): Candidate[] {
  return ranked.slice(0, CANDIDATES_KEPT).map((worker) => ({
    worker: worker.id,
    ranks: Object.fromEntries(VICTIM_ORDER.map(({ name, rank }) => [name, rank(worker, view)])),
  }));
}
