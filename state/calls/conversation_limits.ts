import { CALL_RECORD_TOO_LARGE } from './errors.ts';

export interface ConversationLimits {
  /** Entries kept in memory after Redis has confirmed them; the same as the store keeps. */
  maxHistory: number;
  /** Turns of one call; at one a second this is over five hours. */
  maxTurns: number;
  /** Characters of one turn. */
  maxTextLength: number;
  /** Characters of the context as JSON. */
  maxContextLength: number;
  /** Characters of records that Cosmos DB has not confirmed, kept beside Redis; beyond it Redis alone has the oldest. */
  maxUnarchivedLength: number;
  maxRecentEventIds: number;
}

export const DEFAULT_LIMITS: ConversationLimits = {
  maxHistory: 400,
  maxTurns: 20_000,
  maxTextLength: 32_768,
  maxContextLength: 262_144,
  maxUnarchivedLength: 4 * 1024 * 1024,
  maxRecentEventIds: 64,
};

export function checkContext(context: Record<string, unknown>, limits: ConversationLimits): void {
  const length = JSON.stringify(context).length;
  if (length > limits.maxContextLength)
    throw CALL_RECORD_TOO_LARGE.with(`context: ${length} of ${limits.maxContextLength} characters`);
}

export function checkHistoryText(seq: number, text: string, limits: ConversationLimits): void {
  if (text.length > limits.maxTextLength)
    throw CALL_RECORD_TOO_LARGE.with(`text: ${text.length} of ${limits.maxTextLength} characters`);
  if (seq > limits.maxTurns) throw CALL_RECORD_TOO_LARGE.with(`history: more than ${limits.maxTurns} turns`);
}
