import { drainAll, drainAsked } from './policies/asked.ts';
import { deleteEmpty, markEnded, replaceStuck } from './policies/ending.ts';
import { abandonLost, cordonUnreachable, emptyLeavingHosts } from './policies/hosts.ts';
import { createMissing, retireSurplus } from './policies/numbers.ts';
import { rollBack, rollForward } from './policies/roll.ts';
import { admitRevived, cordonSilent } from './policies/silent.ts';
import type { PoolView, WorkerView } from './view.ts';

export type Action =
  /** Its affinity record says `gone` with the incarnation that ended; then it is forgotten. */
  | { readonly kind: 'markGone'; readonly worker: string; readonly reason: string }
  /** It is empty and takes no calls: it is asked to end. `force` for one that never served, or whose host is lost. */
  | { readonly kind: 'delete'; readonly worker: string; readonly force: boolean; readonly reason: string }
  /** It takes no new calls and stays. */
  | { readonly kind: 'cordon'; readonly worker: string; readonly reason: string }
  /** It takes new calls again. */
  | { readonly kind: 'admit'; readonly worker: string; readonly reason: string }
  /** It takes no new calls and is deleted once empty. `deadlineMs` only when somebody from outside set one. */
  | {
      readonly kind: 'drain';
      readonly worker: string;
      readonly reason: string;
      readonly deadlineMs?: number;
      /** What the choice was between, when it was a choice. */
      readonly candidates?: readonly Candidate[];
    }
  /** One more worker of that revision. */
  | { readonly kind: 'create'; readonly revision: string; readonly reason: string };

/** One worker that might have been retired, with what ranked it; in the order of the ranking. */
export interface Candidate {
  readonly worker: string;
  readonly ranks: Readonly<Record<string, number>>;
}

/** `wanted`: admitting workers. */
export type Policy = (view: PoolView, wanted: number) => Action[];

/** In this order: what has ended, what may end, what somebody asked for, whose host goes, who is silent, which revision, whom to retire, what to make. */
export const POLICIES: readonly Policy[] = [
  markEnded,
  deleteEmpty,
  replaceStuck,
  drainAll,
  drainAsked,
  emptyLeavingHosts,
  cordonUnreachable,
  abandonLost,
  cordonSilent,
  admitRevived,
  rollBack,
  rollForward,
  retireSurplus,
  createMissing,
];

/** What is to be done to come nearer to `wanted` admitting workers of the right revision. Pure. Each policy sees what those before it decided. */
export function plan(view: PoolView, wanted: number): Action[] {
  const actions: Action[] = [];
  const named = new Set<string>();
  let seen = view;
  for (const policy of POLICIES) {
    const more = policy(seen, wanted).filter((action) => !('worker' in action && named.has(action.worker)));
    if (more.length === 0) continue;
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
