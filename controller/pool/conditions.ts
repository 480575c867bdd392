import type { HostState } from '../runtime/ports.ts';
import { CRASH_LOOP_STREAK } from './crash_backoff.ts';
import type { Condition, ConditionType, Finding } from './finding.ts';
import type { Scaler } from './scaling/scaler.ts';
import type { ScalingDecision } from './scaling/types.ts';
import { exists, isAdmitting, isReady, type PoolView } from './view.ts';

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
  notStarting,
  nodeUnreachable,
  rolloutFailed,
  terminating,
];

/**
 * All conditions, always in the same order; the transition time moves only when the status does. `more`: what the view alone cannot tell
 * (the configuration, the tier of Redis, who writes the number).
 */
export function conditionsOf(
  view: PoolView,
  decision: ScalingDecision | undefined,
  more: readonly Finding[],
  before: readonly Condition[],
  nowIso: string,
): Condition[] {
  return [...JUDGES.map((judge) => judge(view, decision)), ...more].map((finding) => {
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
  const old = admitting.filter((worker) => worker.revision !== view.rollout.update).length;
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
  const sourceMissing = decision?.terms.sourceMissing;
  const message =
    sourceMissing !== undefined
      ? `the source of the offered calls says nothing: ${sourceMissing}`
      : unknown.length > 0
        ? `no fresh figures of ${unknown.slice(0, 5).join(', ')}`
        : 'Redis cannot say how many calls were refused';
  return finding(
    'ScalingFrozen',
    view.spec.scaling.mode === 'Automatic' && (unknown.length > 0 || blind || sourceMissing !== undefined),
    [
      sourceMissing !== undefined ? 'SourceMissing' : unknown.length > 0 ? 'FiguresMissing' : 'RedisUnavailable',
      `${message}; nothing is scaled down`,
    ],
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
  const bytes = decision?.terms.memoryBaselineBytes;
  const mebibytes = Math.round((bytes ?? 0) / 2 ** 20);
  return finding(
    'MemoryBaselineHigh',
    decision?.terms.memoryBaselineHigh ?? false,
    [
      'BaselineOverThreshold',
      `an idle worker uses ${mebibytes} MiB, over ${view.spec.scaling.memoryThresholdPercent} % of its limit: raise worker.memoryLimitMiB; workers are not added for it`,
    ],
    ['BaselineFits', bytes === undefined ? 'no idle worker has been measured' : `an idle worker uses ${mebibytes} MiB`],
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

function notStarting(view: PoolView): Finding {
  const troubled = view.workers.filter(
    (worker) => exists(worker) && worker.trouble && worker.trouble.kind !== 'crashLoop',
  );
  const [first] = troubled;
  return finding(
    'WorkersNotStarting',
    first !== undefined,
    [
      first?.trouble?.reason ?? 'Unknown',
      `${troubled.length} workers cannot start, the first is ${first?.id}: ${first?.trouble?.message ?? 'unknown'}; running workers are not touched`,
    ],
    ['AllStart', 'no worker is kept from starting'],
  );
}

function nodeUnreachable(view: PoolView): Finding {
  const on = (state: HostState) => view.workers.filter((worker) => exists(worker) && worker.host?.state === state);
  const [lost, unheard] = [on('unreachable'), on('unheard')];
  const nodes = [...new Set(lost.map((worker) => worker.host?.name ?? ''))];
  return finding(
    'NodeUnreachable',
    lost.length + unheard.length > 0,
    unheard.length > 0
      ? ['NoNodeHeard', 'no node of the cluster gives a sign of life: its workers count as before, none is replaced']
      : [
          'NoSignOfLife',
          `${lost.length} workers run on ${nodes.slice(0, 5).join(', ')}: they keep their calls, new ones go elsewhere`,
        ],
    ['NodesReachable', 'every node with workers gives signs of life'],
  );
}

function rolloutFailed({ rollout }: PoolView): Finding {
  const what = rollout.phase === 'RolledBack' ? `rolled back to ${rollout.stable}` : 'paused';
  return finding(
    'RolloutFailed',
    rollout.failed,
    ['RevisionWorse', `revision ${rollout.update} is ${what}: ${rollout.reason}; apply another document to go on`],
    ['NoFailure', `revision ${rollout.update} is in use`],
  );
}

function terminating(view: PoolView): Finding {
  const left = view.workers.filter(exists).length;
  return finding(
    'Terminating',
    view.deleting,
    ['DrainingForDeletion', `the pool was deleted; ${left} workers are still being drained, no call is cut`],
    ['NotDeleted', 'the pool is not deleted'],
  );
}

/** What the scaler alone knows: windows that cannot be read, and a number that several write or nobody heeds. */
export function scalingFindings(
  scaler: Pick<Scaler, 'scheduleFaults' | 'replicasFinding'> | undefined,
  view: PoolView,
): Finding[] {
  if (!scaler) return [];
  const faults = scaler.scheduleFaults(view.spec);
  return [
    finding(
      'SchedulesInvalid',
      faults.length > 0,
      ['NotReadable', faults.join('; ')],
      ['Readable', 'every window of time can be read'],
    ),
    scaler.replicasFinding(view.spec),
  ];
}
