import type { PoolSpec } from '../../../contract/pool.ts';

/** One worker as the scaling rule sees it. */
export interface ScalingWorker {
  readonly id: string;
  /** Takes new calls (or will, once started): only these count as capacity. */
  readonly admitting: boolean;
  /** Calls in progress: from fresh figures, else from its leases, else unknown. */
  readonly calls: number | undefined;
  /** Resident memory now, when figures are fresh. */
  readonly memoryBytes: number | undefined;
  /** Resident memory of this worker when it had no call yet. */
  readonly memoryBaselineBytes: number | undefined;
  readonly memoryLimitBytes: number | undefined;
  /** Fresh figures stand behind this row. */
  readonly known: boolean;
}

/** Everything one decision depends on; times are of one machine's monotonic clock. */
export interface ScalingInput {
  readonly nowMs: number;
  readonly minWorkers: number;
  readonly maxWorkers: number;
  readonly slotsPerWorker: number;
  readonly memoryLimitBytes: number;
  readonly scaling: PoolSpec['scaling'];
  readonly workers: readonly ScalingWorker[];
  /** Calls that found no slot within the demand window; undefined while Redis cannot be asked. */
  readonly refusedCalls: number | undefined;
  /** Workers refuse calls because Redis is full: then refused calls ask for a larger Redis, not for workers. */
  readonly redisFull?: boolean;
  /** Offered calls by another source than the workers; `missing` freezes. Undefined: the workers tell. */
  readonly offered:
    | { readonly kind: 'known'; readonly calls: number }
    | { readonly kind: 'missing'; readonly reason: string }
    | undefined;
  /** Floor by a window of time; 0 without one. */
  readonly scheduleFloor: number;
  /** What was written to `/scale`, if anything. */
  readonly requestedReplicas: number | undefined;
  /** Automatic only: until when `requestedReplicas` is a floor. */
  readonly floorUntilMs: number | undefined;
}

/** What one decision hands to the next. */
export interface ScalingMemory {
  /** The number that stands; workers are made and retired to meet it. */
  readonly wanted: number;
  /** Decisions in a row that asked for more. */
  readonly breaches: number;
  /** Since when one worker fewer would have been enough; undefined while it would not. */
  readonly lowSinceMs: number | undefined;
  /** Nothing is lowered before: the load has just doubled, or this controller has just started and knows no history. */
  readonly panicUntilMs: number | undefined;
  /** Learned memory of one call above the idle baseline. */
  readonly memoryPerCallBytes: number | undefined;
}

export type ScalingVerdict =
  /** The number stands: the load fits it. */
  | 'Steady'
  /** More are needed, seen once; a second time in a row raises the number. */
  | 'BreachSeen'
  /** The number was raised. */
  | 'ScaledUp'
  /** One fewer would do, but not yet for the whole stabilisation time. */
  | 'Stabilising'
  /** The number was lowered by one. */
  | 'ScaledDown'
  /** One fewer might do, but figures are missing or stale, so nothing is lowered. */
  | 'Frozen'
  /** More are needed than `maxWorkers` allows. */
  | 'AtMaximum'
  /** The number comes from `/scale` or is fixed. */
  | 'Given';

export interface ScalingTerms {
  offeredCalls: number;
  /** A window of time holds the number up; 0 without one. */
  scheduleFloor: number;
  /** Why another source gives no number. */
  sourceMissing: string | undefined;
  callsInProgress: number;
  refusedCalls: number | undefined;
  usableSlotsByConnections: number;
  /** Undefined when no memory per call was measured yet, or the baseline itself is over the threshold. */
  usableSlotsByMemory: number | undefined;
  usableSlots: number;
  memoryPerCallBytes: number | undefined;
  memoryBaselineBytes: number | undefined;
  memoryBaselineHigh: boolean;
  workersForLoad: number;
  slotsForBlocking: number;
  headroomWorkers: number;
  /** Before bounds and hysteresis. */
  workersWanted: number;
  /** Wanted for a load that swings up from here as random calls do; nothing is lowered below it. */
  workersToKeep: number;
  /** Refused calls count for nothing, since Redis is full. */
  redisFull: boolean;
  loadAfterRemovalPercent: { connections: number; memory: number | undefined } | undefined;
  unknownWorkers: readonly string[];
  /** Workers of which neither figures nor leases tell how many calls they have: the sums lack them. */
  uncountedWorkers: number;
}

export interface ScalingDecision {
  readonly verdict: ScalingVerdict;
  readonly before: number;
  readonly wanted: number;
  /** One sentence for people. */
  readonly reason: string;
  readonly terms: ScalingTerms;
  /** `/scale` holds the number up, Automatic mode only. */
  readonly floor: number | undefined;
}
