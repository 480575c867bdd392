/** What admission is decided by: this worker's own view, needed when Redis cannot be asked and for its heartbeat. */
export interface AdmissionView {
  draining: boolean;
  stopping: boolean;
  liveCalls: number;
  slots: number;
  hardSlotLimit: number;
  memoryBytes: number;
  memoryLimitBytes: number;
  /** Redis runs out of memory: every new call would need some. */
  redisFull: boolean;
  /** The local spool has room for the calls under way alone. */
  spoolFull: boolean;
  redisAvailable: boolean;
  redisUnavailableForMs: number;
  unreplicatedGraceMs: number;
}

/** The documented share of the memory limit above which a worker takes no more calls. */
export const MEMORY_ADMISSION_SHARE = 0.85;

export const REFUSALS = {
  stopping: 'the process is shutting down',
  draining: 'the worker is being emptied',
  memory: 'memory is above 85 % of its limit',
  redisMemory: 'Redis runs out of memory',
  spool: 'the local spool is nearly full',
  slots: 'every slot is taken',
  redisAway: 'Redis has been away for longer than the grace time',
} as const;
export type Refusal = keyof typeof REFUSALS;

const RULES: readonly [Refusal, (view: AdmissionView) => boolean][] = [
  ['stopping', (v) => v.stopping],
  ['draining', (v) => v.draining],
  ['memory', (v) => v.memoryLimitBytes > 0 && v.memoryBytes > MEMORY_ADMISSION_SHARE * v.memoryLimitBytes],
  ['redisMemory', (v) => v.redisFull],
  ['spool', (v) => v.spoolFull],
];

const GRACE_RULES: readonly [Refusal, (view: AdmissionView) => boolean][] = [
  ...RULES,
  ['slots', (v) => v.liveCalls >= v.slots],
  ['redisAway', (v) => !v.redisAvailable && v.redisUnavailableForMs > v.unreplicatedGraceMs],
];

/** Whether the worker says in its heartbeat that it admits calls; its slots are counted from the leases in Redis. */
export function refusesNewCalls(view: AdmissionView): Refusal | undefined {
  return RULES.find(([, holds]) => holds(view))?.[0];
}

/** Whether the receiver of a ring may take it by itself while Redis is away. */
export function refusesUnreplicated(view: AdmissionView): Refusal | undefined {
  return GRACE_RULES.find(([, holds]) => holds(view))?.[0];
}

/** A call that was placed here is taken whatever the load, except when the process is about to end; takeovers may fill up to the hard limit. */
export function refusesHandOff(view: AdmissionView): Refusal | undefined {
  if (view.stopping) return 'stopping';
  return view.liveCalls >= view.hardSlotLimit ? 'slots' : undefined;
}
