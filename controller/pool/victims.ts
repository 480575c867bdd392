import { callsOf, isReady, type WorkerView } from './view.ts';

interface Rule {
  readonly name: string;
  /** Lower goes first. */
  readonly rank: (worker: WorkerView, revision: string) => number;
}

/** Whom to retire first. Each rule only breaks the ties that those before it leave. */
export const VICTIM_ORDER: readonly Rule[] = [
  // Every call on a victim is a wait. Unknown is taken for many: a worker that tells nothing may be full.
  { name: 'fewestCalls', rank: (worker) => callsOf(worker) ?? Number.MAX_SAFE_INTEGER },
  // It would be replaced soon anyway.
  { name: 'oldRevision', rank: (worker, revision) => (worker.revision === revision ? 1 : 0) },
  // It adds nothing yet.
  { name: 'notReady', rank: (worker) => (isReady(worker) ? 1 : 0) },
  // A relayed socket is a call of another worker that would have to be waited for.
  { name: 'fewestRelayedSockets', rank: (worker) => worker.figures?.relayedSockets ?? 0 },
  { name: 'fewestUnsentRecords', rank: (worker) => worker.figures?.unsentRecords ?? 0 },
  // The older one has its caches warm.
  { name: 'youngest', rank: (worker) => worker.ageMs },
];

export function byVictimOrder(workers: readonly WorkerView[], revision: string): WorkerView[] {
  return [...workers].sort((a, b) => {
    for (const { rank } of VICTIM_ORDER) {
      const difference = rank(a, revision) - rank(b, revision);
      if (difference !== 0) return difference;
    }
    return a.id.localeCompare(b.id);
  });
}
