import { type Clock, systemClock } from '../../platform/clock.ts';
import { type Random, systemRandom } from '../../platform/random.ts';
import type { CallStore } from '../ports.ts';
import { CALL_FENCED } from './errors.ts';

/** Where an application's conversations stand: what `AsyncAzureRedisManager` offers to `ConversationManager.fromRedis`. */
export interface ConversationSource {
  readonly calls: CallStore;
  /** Who may write the conversation; `ended` when it has an end record. Undefined when nobody ever wrote it. */
  owner(sessionId: string): Promise<{ fence: number; incarnation: string; ended: boolean } | undefined>;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** Begins the incarnation of every application, so that a conversation that a worker holds is told from one that an application held. */
const APPLICATION = 'app-';

/**
 * The next fence of an application that opens a conversation: whoever opened it before can no longer write, so that of two
 * processes the later one goes on and the earlier one is told (ERR_CALL_FENCED). A live call of a worker is never taken from it.
 */
export async function nextApplicationOwner(
  source: ConversationSource,
  sessionId: string,
): Promise<{ fence: number; incarnation: string }> {
  const before = await source.owner(sessionId);
  if (before && !before.ended && !before.incarnation.startsWith(APPLICATION))
    throw CALL_FENCED.with('a worker holds this call: an application cannot take it from the worker');
  return {
    fence: (before?.fence ?? 0) + 1,
    incarnation: `${APPLICATION}${(source.random ?? systemRandom).id(12)}`,
  };
}

/** An application's conversation has no call of ACS behind it: its session id stands for both ids. */
export function applicationIdentity(sessionId: string, clock: Clock = systemClock) {
  return {
    callRef: sessionId,
    callConnectionId: sessionId,
    correlationId: '',
    serverCallId: '',
    from: '',
    to: '',
    startedAtMs: clock.wallMs(),
  };
}
