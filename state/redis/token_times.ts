import type { Random } from '../../platform/random.ts';

/** The least time before expiry at which a renewal begins (learn.microsoft.com/azure/redis/entra-for-authentication). */
export const RENEWAL_LEAD_MS = 3 * 60_000;
/** Spreads a fleet; within the five minutes before expiry in which the identity library gives a new token and not the cached one. */
const RENEWAL_JITTER_MS = 90_000;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;
/** A token that is nearly over when it comes, or the same one again, must not make a loop. */
const SHORTEST_MS = 5000;

/** When to ask for the next token: three to four and a half minutes before the end of this one; a short-lived one at the half of its time. */
export function tokenRenewalMs(options: { expiresInMs: number; random: Random }): number {
  const { expiresInMs, random } = options;
  const lead = Math.min(RENEWAL_LEAD_MS + RENEWAL_JITTER_MS * random.fraction(), expiresInMs / 2);
  return Math.max(SHORTEST_MS, Math.floor(expiresInMs - lead));
}

/** Doubles from 1 to 30 s, less up to a half. */
export function retryTokenMs(failures: number, random: Random): number {
  const ceilingMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures - 1, 10));
  return Math.round(ceilingMs * (0.5 + random.fraction() / 2));
}
