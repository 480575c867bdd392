import { defineError } from '../../platform/errors.ts';

export const TTL_INVALID = defineError('ERR_TTL_INVALID', {
  status: 500,
  message: 'a time to live is outside its policy',
  remedy: 'Use a value between the min and max of TTL_POLICIES for that purpose.',
});

export interface TtlPolicy {
  /** One sentence for docs/keys.md. */
  readonly keeps: string;
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
  conversation_context: {
    keeps: 'What the dialogue knows; working state of a live call.',
    seconds: 30 * MINUTE,
    min: MINUTE,
    max: 2 * HOUR,
    refreshedDuringCall: true,
  },
  session_history: {
    keeps: 'What was said; kept past the end so that a late archive can still read it.',
    seconds: 2 * HOUR,
    min: 30 * MINUTE,
    max: DAY,
    refreshedDuringCall: true,
  },
  authentication_state: {
    keeps: 'Proof of who calls; expires on purpose so that a long call must prove it again.',
    seconds: 15 * MINUTE,
    min: MINUTE,
    max: HOUR,
    refreshedDuringCall: false,
  },
  tts_cache: {
    keeps: 'Synthesised phrases, shared between calls.',
    seconds: DAY,
    min: MINUTE,
    max: 7 * DAY,
    refreshedDuringCall: false,
  },
  call_summary: {
    keeps: 'Short record of an ended call, for analytics.',
    seconds: 7 * DAY,
    min: HOUR,
    max: 30 * DAY,
    refreshedDuringCall: false,
  },
  call_session: {
    keeps: "The call's own record and its fence.",
    seconds: 2 * HOUR,
    min: 30 * MINUTE,
    max: DAY,
    refreshedDuringCall: true,
  },
  profile_copy: {
    keeps: 'Working copy of a profile whose record is in Cosmos DB.',
    seconds: 15 * MINUTE,
    min: MINUTE,
    max: HOUR,
    refreshedDuringCall: false,
  },
  outbox: {
    keeps: 'Records on their way to Cosmos DB; an alert fires long before this.',
    seconds: 7 * DAY,
    min: DAY,
    max: 30 * DAY,
    refreshedDuringCall: true,
  },
  affinity: {
    keeps: 'What the controller says of a worker; the worker extends it while the controller is away.',
    seconds: 5 * MINUTE,
    min: 30,
    max: HOUR,
    refreshedDuringCall: false,
  },
  heartbeat: {
    keeps: 'What a worker says of itself once a second: missing means no sign of life.',
    seconds: 5,
    min: 1,
    max: MINUTE,
    refreshedDuringCall: false,
  },
  inbox: {
    keeps: 'Callbacks parked for a worker that lives but did not answer.',
    seconds: 5 * MINUTE,
    min: 10,
    max: HOUR,
    refreshedDuringCall: false,
  },
  lease: {
    keeps: "An answered call's lease; renewed every third of it.",
    seconds: 15,
    min: 1,
    max: 5 * MINUTE,
    refreshedDuringCall: true,
  },
  ringing: {
    keeps: "A placed call's lease until ACS has answered: the time a call rings.",
    seconds: 30,
    min: 1,
    max: 5 * MINUTE,
    refreshedDuringCall: true,
  },
  pool_index: {
    keeps: "The pool's indexes and expired leases: the longest call, so that a takeover still finds them.",
    seconds: 2 * HOUR,
    min: 30 * MINUTE,
    max: 2 * DAY,
    refreshedDuringCall: true,
  },
  ring_outcome: {
    keeps: 'Outcome of a ring after the end of its call.',
    seconds: 10 * MINUTE,
    min: MINUTE,
    max: HOUR,
    refreshedDuringCall: false,
  },
  recovery: {
    keeps: 'When a recovery was noticed; gone once it is over.',
    seconds: 100,
    min: 1,
    max: HOUR,
    refreshedDuringCall: false,
  },
  explanations: {
    keeps: 'Refused placements, for `rtvoice explain`.',
    seconds: DAY,
    min: MINUTE,
    max: 7 * DAY,
    refreshedDuringCall: false,
  },
  controller_fence: {
    keeps: 'The highest controller fence: longer than any controller is away.',
    seconds: 7 * DAY,
    min: HOUR,
    max: 30 * DAY,
    refreshedDuringCall: false,
  },
  layout_marker: {
    keeps: 'Key layout of the data; renewed by every start, so that it outlives all of them.',
    seconds: 90 * DAY,
    min: 30 * DAY,
    max: 365 * DAY,
    refreshedDuringCall: false,
  },
  system_records: {
    keeps: 'Last figures and health of jobs.',
    seconds: HOUR,
    min: MINUTE,
    max: DAY,
    refreshedDuringCall: false,
  },
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
