import { ttlMs } from '../keys/ttl.ts';

/** Time to live of a call's records, in milliseconds. */
export interface CallTtls {
  /** The fence: as long as the outbox, so that an owner that wakes up after hours is still refused. */
  ownerMs: number;
  sessionMs: number;
  contextMs: number;
  historyMs: number;
  outboxMs: number;
  summaryMs: number;
}

export const CALL_TTLS: CallTtls = {
  ownerMs: ttlMs('outbox'),
  sessionMs: ttlMs('call_session'),
  contextMs: ttlMs('conversation_context'),
  historyMs: ttlMs('session_history'),
  outboxMs: ttlMs('outbox'),
  summaryMs: ttlMs('call_summary'),
};

/** How often a live call's owner calls `refresh`: a third of the shortest of them. */
export function refreshPeriodMs(ttls: CallTtls): number {
  return Math.floor(Math.min(ttls.sessionMs, ttls.contextMs, ttls.historyMs, ttls.outboxMs) / 3);
}
