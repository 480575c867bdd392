import { byVictimOrder } from './victims.ts';
import { callsOf, exists, heldBy, isAdmitting, isReady, type PoolView, type WorkerView } from './view.ts';

export type Action =
  /** Its affinity record says `gone` with the incarnation that ended; then it is forgotten. */
  | { readonly kind: 'markGone'; readonly worker: string; readonly reason: string }
  /** It is empty and takes no calls: it is asked to end. `force` for one that never served. */
  | { readonly kind: 'delete'; readonly worker: string; readonly force: boolean; readonly reason: string }
  /** It takes no new calls and stays. */
  | { readonly kind: 'cordon'; readonly worker: string; readonly reason: string }
  /** It takes new calls again. */
  | { readonly kind: 'admit'; readonly worker: string; readonly reason: string }
  /** It takes no new calls and is deleted once empty. `deadlineMs` only when somebody from outside set one. */
  | { readonly kind: 'drain'; readonly worker: string; readonly reason: string; readonly deadlineMs?: number }
  /** One more worker of the current revision. */
  | { readonly kind: 'create'; readonly reason: string };

/** A worker that serves nothing by then will not: it is replaced. */
export const START_DEADLINE_MS = 60_000;
/** A serving worker that tells nothing for this long is taken for frozen. */
export const SILENT_MS = 20_000;
/** Marks a cordon of our own, which ends by itself. */
const SILENT_REASON = 'it gives no figures';
/** Workers made in one pass: a burst of starts would slow each of them down. */
const CREATES_PER_PASS = 16;

type Policy = (view: PoolView, wanted: number) => Action[];

/** In this order: what has ended, what may end, who is silent, whom to retire, what to make. */
export const POLICIES: readonly Policy[] = [
  markEnded,
  deleteEmpty,
  replaceStuck,
  cordonSilent,
  admitRevived,
  rollRevision,
  retireSurplus,
  createMissing,
];

/** What is to be done to come nearer to `wanted` admitting workers of the current revision. Pure. Each policy sees what those before it decided. */
export function plan(view: PoolView, wanted: number): Action[] {
  const actions: Action[] = [];
  const named = new Set<string>();
  let seen = view;
  for (const policy of POLICIES) {
    const more = policy(seen, wanted).filter((action) => !('worker' in action && named.has(action.worker)));
    for (const action of more) if ('worker' in action) named.add(action.worker);
    actions.push(...more);
    seen = { ...seen, workers: seen.workers.flatMap((worker) => overlay(worker, more)) };
  }
  return actions;
}

/** The worker as it will be once the actions are done. */
function overlay(worker: WorkerView, actions: readonly Action[]): WorkerView[] {
  const action = actions.find((one) => 'worker' in one && one.worker === worker.id);
  if (!action) return [worker];
  switch (action.kind) {
    case 'markGone':
      return [];
    case 'delete':
      return [{ ...worker, leaving: true }];
    case 'cordon':
      return [{ ...worker, admission: 'cordoned' }];
    case 'drain':
      return [{ ...worker, admission: 'draining' }];
    case 'admit':
      return [{ ...worker, admission: 'admitting' }];
    case 'create':
      return [worker];
  }
}

function markEnded({ workers }: PoolView): Action[] {
  return workers
    .filter((worker) => !exists(worker))
    .map((worker) => ({
      kind: 'markGone',
      worker: worker.id,
      reason: worker.stopping ? 'it ended as it was asked to' : 'its process has ended',
    }));
}

function deleteEmpty({ workers }: PoolView): Action[] {
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

function replaceStuck({ workers }: PoolView): Action[] {
  return workers
    .filter(
      (worker) =>
        worker.presence === 'starting' && worker.ageMs > START_DEADLINE_MS && worker.leases === 0 && !worker.leaving,
    )
    .map((worker) => ({
      kind: 'delete',
      worker: worker.id,
      force: true,
      reason: `it did not serve within ${START_DEADLINE_MS / 1000} s of its start`,
    }));
}

/** A frozen worker takes no calls and is stood in for. When many are silent at once the fault is rather on our side, and nothing is done. */
function cordonSilent({ workers }: PoolView): Action[] {
  const admitting = workers.filter((worker) => isAdmitting(worker) && worker.presence === 'serving');
  const silent = admitting.filter((worker) => (worker.figuresAgeMs ?? worker.ageMs) > SILENT_MS);
  const tolerable = Math.max(1, Math.floor(admitting.length / 3));
  if (silent.length > tolerable || !admitting.some(isReady)) return [];
  return silent.map((worker) => ({ kind: 'cordon', worker: worker.id, reason: SILENT_REASON }));
}

function admitRevived({ workers }: PoolView): Action[] {
  return workers
    .filter((worker) => exists(worker) && worker.admission === 'cordoned' && worker.admissionReason === SILENT_REASON)
    .filter((worker) => worker.figures !== undefined)
    .map((worker) => ({ kind: 'admit', worker: worker.id, reason: 'it gives figures again' }));
}

/** Roll-out with a surge of one: an old worker drains only when a ready one more than wanted stands in for it. */
function rollRevision(view: PoolView, wanted: number): Action[] {
  const old = view.workers.filter((worker) => isAdmitting(worker) && worker.revision !== view.revision);
  const ready = view.workers.filter(isReady).length;
  const [next] = byVictimOrder(old, view.revision);
  if (!next || ready <= wanted) return [];
  return [
    { kind: 'drain', worker: next.id, reason: `roll-out: revision ${next.revision} is replaced by ${view.revision}` },
  ];
}

function retireSurplus(view: PoolView, wanted: number): Action[] {
  const admitting = view.workers.filter(isAdmitting);
  const surplus = admitting.length - wanted - surge(view);
  if (surplus <= 0) return [];
  return byVictimOrder(admitting, view.revision)
    .filter((worker) => callsOf(worker) !== undefined)
    .slice(0, surplus)
    .map((worker) => ({
      kind: 'drain',
      worker: worker.id,
      reason: `${admitting.length} workers admit calls, ${wanted} are wanted; it has the fewest calls`,
    }));
}

function createMissing(view: PoolView, wanted: number): Action[] {
  const target = wanted + surge(view);
  const missing = target - view.workers.filter(isAdmitting).length - view.pendingCreates;
  if (missing <= 0 || view.crashes.holdMs > 0) return [];
  const reason = `${target - missing} of ${target} workers admit calls${surge(view) ? ' (one more for the roll-out)' : ''}`;
  return Array.from({ length: Math.min(missing, CREATES_PER_PASS) }, () => ({ kind: 'create', reason }));
}

/** One worker above the number while old ones are rolled; not while one of them is still draining, which is a process too. */
function surge(view: PoolView): number {
  const old = view.workers.some((worker) => isAdmitting(worker) && worker.revision !== view.revision);
  return old && !oldIsLeaving(view) ? 1 : 0;
}

function oldIsLeaving({ workers, revision }: PoolView): boolean {
  return workers.some(
    (worker) =>
      exists(worker) &&
      worker.revision !== revision &&
      (worker.admission === 'draining' || worker.leaving || worker.stopping),
  );
}

/** What each draining worker is still waited for. */
export function waitedFor(worker: WorkerView): string | undefined {
  if (!exists(worker) || worker.admission !== 'draining') return undefined;
  const held = heldBy(worker);
  return held.length > 0 ? `${worker.id} drains: ${held.join(', ')}` : undefined;
}
