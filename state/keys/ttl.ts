import { defineError } from '../../platform/errors.ts';

export const TTL_INVALID = defineError('ERR_TTL_INVALID', {
  status: 500,
  message: 'a time to live is outside its policy',
  remedy: 'Use a value between the min and max of TTL_POLICIES for that purpose.',
});

export interface TtlPolicy {
  readonly seconds: number;
  readonly min: number;
  readonly max: number;
  /** A live call's owner extends the key at a third of its length. */
  readonly refreshedDuringCall: boolean;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long each kind of record lives in Redis after its last write or refresh, in seconds. Every key has one of these. */
export const TTL_POLICIES = {
  /** What the dialogue knows; working state of a live call. */
  conversation_context: { seconds: 30 * MINUTE, min: MINUTE, max: 2 * HOUR, refreshedDuringCall: true },
  /** What was said; kept past the end so that a late archive can still read it. */
  session_history: { seconds: 2 * HOUR, min: 30 * MINUTE, max: DAY, refreshedDuringCall: true },
  /** Proof of who calls; expires on purpose so that a long call must prove it again. */
  authentication_state: { seconds: 15 * MINUTE, min: MINUTE, max: HOUR, refreshedDuringCall: false },
  /** Synthesised phrases, shared between calls. */
  tts_cache: { seconds: DAY, min: MINUTE, max: 7 * DAY, refreshedDuringCall: false },
  /** Short record of an ended call, for analytics. */
  call_summary: { seconds: 7 * DAY, min: HOUR, max: 30 * DAY, refreshedDuringCall: false },
  /** The call's own record and its fence. */
  call_session: { seconds: 2 * HOUR, min: 30 * MINUTE, max: DAY, refreshedDuringCall: true },
  /** Working copy of a profile whose record is in Cosmos DB. */
  profile_copy: { seconds: 15 * MINUTE, min: MINUTE, max: HOUR, refreshedDuringCall: false },
  /** Records on their way to Cosmos DB; an alert fires long before this. */
  outbox: { seconds: 7 * DAY, min: DAY, max: 30 * DAY, refreshedDuringCall: true },
  /** What the controller says of a worker; the worker extends it while the controller is away. */
  affinity: { seconds: 5 * MINUTE, min: 30, max: HOUR, refreshedDuringCall: false },
  /** What a worker says of itself once a second: missing means no sign of life. */
  heartbeat: { seconds: 5, min: 1, max: MINUTE, refreshedDuringCall: false },
  /** Callbacks parked for a worker that lives but did not answer. */
  inbox: { seconds: 5 * MINUTE, min: 10, max: HOUR, refreshedDuringCall: false },
  /** An answered call's lease; renewed every third of it. */
  lease: { seconds: 15, min: 1, max: 5 * MINUTE, refreshedDuringCall: true },
  /** A placed call's lease until ACS has answered: the time a call rings. */
  ringing: { seconds: 30, min: 1, max: 5 * MINUTE, refreshedDuringCall: true },
  /** The pool's indexes and expired leases: the longest call, so that a takeover still finds them. */
  pool_index: { seconds: 2 * HOUR, min: 30 * MINUTE, max: 2 * DAY, refreshedDuringCall: true },
  /** Outcome of a ring after the end of its call. */
  ring_outcome: { seconds: 10 * MINUTE, min: MINUTE, max: HOUR, refreshedDuringCall: false },
} as const satisfies Record<string, TtlPolicy>;
export type TtlPurpose = keyof typeof TTL_POLICIES;

/** The policy's seconds, or `seconds` when it lies within the policy; outside it is an error, never clamped in silence. */
export function ttlSeconds(purpose: TtlPurpose, seconds?: number): number {
  const policy = TTL_POLICIES[purpose];
  if (seconds === undefined) return policy.seconds;
  if (!Number.isInteger(seconds) || seconds < policy.min || seconds > policy.max) {
    throw TTL_INVALID.with(`${purpose}: ${seconds} s is not within ${policy.min} to ${policy.max} s`);
  }
  return seconds;
}

export function ttlMs(purpose: TtlPurpose, seconds?: number): number {
  return ttlSeconds(purpose, seconds) * 1000;
}
