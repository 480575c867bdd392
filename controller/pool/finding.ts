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
  /** Several parties write the number of workers and undo each other. */
  | 'ReplicasContended'
  /** A window of time in `scaling.schedules` cannot be read. */
  | 'SchedulesInvalid'
  /** Idle workers already use more memory than the threshold: more workers would not help. */
  | 'MemoryBaselineHigh'
  /** After an outage of Redis owners re-assert their leases; no call is placed meanwhile. */
  | 'Recovering'
  /** Redis does not answer the controller. */
  | 'RedisUnavailable'
  /** Redis itself needs more memory, connections or shards. */
  | 'RedisScaleNeeded'
  /** Workers end again and again soon after their start. */
  | 'WorkerCrashLoop'
  /** Workers cannot start: image, settings or a place to run is missing. */
  | 'WorkersNotStarting'
  /** A node with workers gives no sign of life. */
  | 'NodeUnreachable'
  /** A new revision was worse than the old one. */
  | 'RolloutFailed'
  /** Something outside the document is missing or wrong, so no worker is made. */
  | 'ConfigurationInvalid'
  /** The pool was deleted and waits for its calls to end. */
  | 'Terminating';

/** What is or is not so, before it becomes a condition with a time. */
export interface Finding {
  readonly type: ConditionType;
  readonly status: 'True' | 'False';
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

export interface Condition extends Finding {
  /** When `status` changed last; ISO 8601, for people. */
  readonly lastTransitionTime: string;
}

/** Conditions that are good news when true. */
const GOOD: ReadonlySet<ConditionType> = new Set(['Ready']);
/** Conditions that say what goes on, good or bad. */
const NEUTRAL: ReadonlySet<ConditionType> = new Set(['Progressing', 'ScaleFloorActive', 'Terminating']);

/** Whether the condition, as it stands, is something that people have to look at. */
export function isTrouble({ type, status }: Pick<Finding, 'type' | 'status'>): boolean {
  if (NEUTRAL.has(type)) return false;
  return GOOD.has(type) ? status === 'False' : status === 'True';
}
