import { type Condition, isTrouble } from './finding.ts';
import type { Action } from './plan.ts';
import type { PoolEvent } from './ports.ts';
import type { PoolStatus } from './status.ts';

const ACTION_REASONS = {
  create: 'WorkerCreated',
  admit: 'WorkerAdmitted',
  cordon: 'WorkerCordoned',
  drain: 'WorkerDraining',
  delete: 'WorkerDeleted',
  markGone: 'WorkerGone',
} as const;

/** What `kubectl describe` shows of an action. */
export function actionEvent(action: Action): PoolEvent {
  const worker = action.kind === 'create' ? `revision ${action.revision}` : action.worker;
  const warns = action.kind === 'cordon' || (action.kind === 'delete' && action.force);
  return {
    type: warns ? 'Warning' : 'Normal',
    reason: ACTION_REASONS[action.kind],
    message: `${worker}: ${action.reason}`,
  };
}

/** What `kubectl describe` shows of a change: conditions, the number of workers, the roll-out. Nothing of what stayed. */
export function eventsOf(before: PoolStatus | undefined, now: PoolStatus): PoolEvent[] {
  return [...conditionEvents(before, now), ...scalingEvents(before, now), ...rolloutEvents(before, now)];
}

function conditionEvents(before: PoolStatus | undefined, now: PoolStatus): PoolEvent[] {
  return now.conditions.flatMap((condition): PoolEvent[] => {
    const last = before?.conditions.find(({ type }) => type === condition.type);
    if (last ? last.status === condition.status : !isTrouble(condition)) return [];
    return [
      { type: isTrouble(condition) ? 'Warning' : 'Normal', reason: eventReason(condition), message: condition.message },
    ];
  });
}

/** `RedisUnavailable` when it begins, `RedisUnavailableEnded` when it is over; a good one by its own name. */
function eventReason({ type, status }: Condition): string {
  if (type === 'Ready') return status === 'True' ? 'Ready' : 'NotReady';
  return status === 'True' ? type : `${type}Ended`;
}

function scalingEvents(before: PoolStatus | undefined, now: PoolStatus): PoolEvent[] {
  const { lastScaling } = now;
  if (!before || !lastScaling || before.lastScaling?.time === lastScaling.time) return [];
  const { from, to, reason } = lastScaling;
  return [
    {
      type: 'Normal',
      reason: to > from ? 'ScaledUp' : 'ScaledDown',
      message: `from ${from} to ${to} workers: ${reason}`,
    },
  ];
}

function rolloutEvents(before: PoolStatus | undefined, now: PoolStatus): PoolEvent[] {
  const { phase, message } = now.rollout;
  if (!before || before.rollout.phase === phase) return [];
  const type = phase === 'RolledBack' || now.rollout.failed ? 'Warning' : 'Normal';
  return [{ type, reason: `Rollout${phase}`, message }];
}
