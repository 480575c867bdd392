import { CRASH_LOOP_STREAK } from './crash_backoff.ts';
import type { ScalingDecision } from './scaling/types.ts';
import { exists, isAdmitting, isReady, type PoolView } from './view.ts';

export type ConditionType =
  /** At least `minWorkers` ready workers admit calls. */
  | 'Ready'
  /** Workers are being made, rolled or drained. */
  | 'Progressing'
  /** Nothing is scaled down, since figures are missing or stale. */
  | 'ScalingFrozen'
  /** More workers are needed than `maxWorkers` allows. */
  | 'ScalingLimited'
  /** A write to `/scale` holds the number up for a time. */
  | 'ScaleFloorActive'
  /** Idle workers already use more memory than the threshold: more workers would not help. */
  | 'MemoryBaselineHigh'
  /** After an outage of Redis owners re-assert their leases; no call is placed meanwhile. */
  | 'Recovering'
  /** Redis does not answer the controller. */
  | 'RedisUnavailable'
  /** Workers end again and again soon after their start. */
  | 'WorkerCrashLoop';

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False';
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
  /** When `status` changed last; ISO 8601, for people. */
  readonly lastTransitionTime: string;
}

type Finding = Omit<Condition, 'lastTransitionTime'>;
type Judge = (view: PoolView, decision: ScalingDecision | undefined) => Finding;

const JUDGES: readonly Judge[] = [
  ready,
  progressing,
  scalingFrozen,
  scalingLimited,
  scaleFloor,
  memoryBaseline,
  recovering,
  redisUnavailable,
  crashLoop,
];

/** All conditions, always in the same order; the transition time moves only when the status does. */
export function conditionsOf(
  view: PoolView,
  decision: ScalingDecision | undefined,
  before: readonly Condition[],
  nowIso: string,
): Condition[] {
  return JUDGES.map((judge) => {
    const finding = judge(view, decision);
    const last = before.find((condition) => condition.type === finding.type);
    return { ...finding, lastTransitionTime: last?.status === finding.status ? last.lastTransitionTime : nowIso };
  });
}

function finding(
  type: ConditionType,
  holds: boolean,
  whenTrue: [string, string],
  whenFalse: [string, string],
): Finding {
  const [reason, message] = holds ? whenTrue : whenFalse;
  return { type, status: holds ? 'True' : 'False', reason, message };
}

function ready(view: PoolView): Finding {
  const count = view.workers.filter(isReady).length;
  const message = `${count} ready workers, at least ${view.spec.minWorkers} are asked for`;
  return finding('Ready', count >= view.spec.minWorkers, ['EnoughWorkers', message], ['TooFewWorkers', message]);
}

function progressing(view: PoolView, decision: ScalingDecision | undefined): Finding {
  const admitting = view.workers.filter(isAdmitting);
  const wanted = decision?.wanted ?? view.spec.minWorkers;
  const old = admitting.filter((worker) => worker.revision !== view.revision).length;
  const notReady = admitting.filter((worker) => !isReady(worker)).length;
  const draining = view.workers.filter((worker) => exists(worker) && worker.admission === 'draining').length;
  const reason =
    old > 0 ? 'RollingOut' : admitting.length !== wanted ? 'Scaling' : notReady > 0 ? 'Starting' : 'Draining';
  const message = `${admitting.length} of ${wanted} workers admit calls, ${notReady} of them not ready; ${old} of an old revision; ${draining} draining`;
  const holds = old + notReady + draining > 0 || admitting.length !== wanted;
  return finding('Progressing', holds, [reason, message], ['Settled', message]);
}

function scalingFrozen(view: PoolView, decision: ScalingDecision | undefined): Finding {
  const unknown = decision?.terms.unknownWorkers ?? [];
  const blind = view.redis.state === 'unavailable';
  const message =
    unknown.length > 0
      ? `no fresh figures of ${unknown.slice(0, 5).join(', ')}`
      : 'Redis cannot say how many calls were refused';
  return finding(
    'ScalingFrozen',
    view.spec.scaling.mode === 'Automatic' && (unknown.length > 0 || blind),
    [unknown.length > 0 ? 'FiguresMissing' : 'RedisUnavailable', `${message}; nothing is scaled down`],
    ['FiguresComplete', 'figures of every worker are fresh'],
  );
}

function scalingLimited(view: PoolView, decision: ScalingDecision | undefined): Finding {
  const needed = decision?.terms.workersWanted ?? 0;
  return finding(
    'ScalingLimited',
    needed > view.spec.maxWorkers,
    [
      'MaxWorkers',
      `the load needs ${needed} workers, maxWorkers allows ${view.spec.maxWorkers}; raise it or calls are refused`,
    ],
    ['WithinBounds', `the load needs ${needed} workers`],
  );
}

function scaleFloor(_view: PoolView, decision: ScalingDecision | undefined): Finding {
  const floor = decision?.floor;
  return finding(
    'ScaleFloorActive',
    floor !== undefined,
    ['ScaleWritten', `/scale asked for ${floor}: it is a floor for a time, scaling.mode is Automatic`],
    ['NoFloor', 'no write to /scale is in effect'],
  );
}

function memoryBaseline(view: PoolView, decision: ScalingDecision | undefined): Finding {
  const mebibytes = Math.round((decision?.terms.memoryBaselineBytes ?? 0) / 2 ** 20);
  return finding(
    'MemoryBaselineHigh',
    decision?.terms.memoryBaselineHigh ?? false,
    [
      'BaselineOverThreshold',
      `an idle worker uses ${mebibytes} MiB, over ${view.spec.scaling.memoryThresholdPercent} % of its limit: raise worker.memoryLimitMiB; workers are not added for it`,
    ],
    ['BaselineFits', `an idle worker uses ${mebibytes} MiB`],
  );
}

function recovering(view: PoolView): Finding {
  return finding(
    'Recovering',
    view.redis.state === 'recovering',
    [
      'EpochMissing',
      'Redis was away longer than a lease: owners re-assert their calls, none is placed for at most 10 s',
    ],
    ['LeasesStand', 'leases stand'],
  );
}

function redisUnavailable(view: PoolView): Finding {
  return finding(
    'RedisUnavailable',
    view.redis.state === 'unavailable',
    ['NoAnswer', 'Redis does not answer: live calls go on in memory, no worker is deleted'],
    ['Answers', 'Redis answers'],
  );
}

function crashLoop(view: PoolView): Finding {
  const { streak, holdMs } = view.crashes;
  return finding(
    'WorkerCrashLoop',
    streak >= CRASH_LOOP_STREAK,
    [
      'EarlyEnds',
      `${streak} workers in a row ended soon after their start; next start in ${Math.ceil(holdMs / 1000)} s; see their logs`,
    ],
    ['NoEarlyEnds', 'workers stay up'],
  );
}
