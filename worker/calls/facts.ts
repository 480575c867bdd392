import type { CallEndReason } from '../../contract/reasons.ts';

/**
 * A call's state is derived from what is known of it, never from the order in which it became known: every event only
 * adds a fact. So events that come twice, late or out of order lead to the same state (design, invariant I3).
 */
export interface CallFacts {
  answer: 'none' | 'requested' | 'accepted' | 'refused';
  /** CallConnected was seen. */
  connected: boolean;
  /** CallDisconnected was seen: nothing that comes later matters, except how a pending transfer went. */
  disconnected: boolean;
  /** A media socket is open now. */
  mediaUp: boolean;
  /** A media socket was open at some time. */
  mediaSeen: boolean;
  transfer: 'none' | 'requested' | 'accepted' | 'failed';
  /** Why we asked for the end; the first reason stays. */
  endRequested: CallEndReason | undefined;
}

export const CALL_STATES = {
  placed: 'a lease names this worker; ACS has not been asked yet',
  answering: 'the answer is on its way to ACS',
  answered: 'ACS has accepted the answer; neither CallConnected nor media has come',
  connected: 'ACS says the call stands; its media has not come yet',
  active: 'media flows; CallConnected may still be on its way',
  reconnecting: 'media flowed and broke; ACS is expected to dial again, or is asked to',
  ending: 'we asked ACS to end or transfer the call and wait for CallDisconnected',
  ended: 'CallDisconnected was seen, the answer was refused, or ACS no longer knows the call',
} as const;
export type CallState = keyof typeof CALL_STATES;

export const NEW_CALL: CallFacts = {
  answer: 'none',
  connected: false,
  disconnected: false,
  mediaUp: false,
  mediaSeen: false,
  transfer: 'none',
  endRequested: undefined,
};

/** Rules in order: the first that holds names the state. */
const RULES: readonly [CallState, (facts: CallFacts) => boolean][] = [
  ['ended', (f) => f.disconnected || f.answer === 'refused'],
  ['ending', (f) => f.endRequested !== undefined || f.transfer === 'accepted'],
  ['active', (f) => f.mediaUp],
  ['reconnecting', (f) => f.mediaSeen],
  ['connected', (f) => f.connected],
  ['answered', (f) => f.answer === 'accepted'],
  ['answering', (f) => f.answer === 'requested'],
  ['placed', () => true],
];

export function callState(facts: CallFacts): CallState {
  return RULES.find(([, holds]) => holds(facts))?.[0] ?? 'placed';
}

export type Fact =
  | { kind: 'answerRequested' }
  | { kind: 'answerAccepted' }
  | { kind: 'answerRefused' }
  | { kind: 'connected' }
  | { kind: 'disconnected' }
  | { kind: 'mediaOpened' }
  | { kind: 'mediaClosed' }
  | { kind: 'transferRequested' }
  | { kind: 'transferAccepted' }
  | { kind: 'transferFailed' }
  | { kind: 'endRequested'; reason: CallEndReason };

const ANSWER_RANK = { none: 0, requested: 1, refused: 2, accepted: 3 } as const;
const TRANSFER_RANK = { none: 0, requested: 1, failed: 2, accepted: 3 } as const;

const higher = <T extends string>(rank: Record<T, number>, a: T, b: T): T => (rank[b] > rank[a] ? b : a);

/** Adds a fact. Anything that shows a live call (CallConnected, media) also shows that the answer was accepted. */
export function learn(facts: CallFacts, fact: Fact): CallFacts {
  const answer = (value: CallFacts['answer']) => higher(ANSWER_RANK, facts.answer, value);
  const transfer = (value: CallFacts['transfer']) => higher(TRANSFER_RANK, facts.transfer, value);
  switch (fact.kind) {
    case 'answerRequested':
      return { ...facts, answer: answer('requested') };
    case 'answerAccepted':
      return { ...facts, answer: answer('accepted') };
    case 'answerRefused':
      return { ...facts, answer: answer('refused') };
    case 'connected':
      return { ...facts, answer: answer('accepted'), connected: true };
    case 'disconnected':
      return { ...facts, disconnected: true };
    case 'mediaOpened':
      return { ...facts, answer: answer('accepted'), mediaUp: true, mediaSeen: true };
    case 'mediaClosed':
      return { ...facts, mediaUp: false };
    case 'transferRequested':
      return { ...facts, transfer: transfer('requested') };
    case 'transferAccepted':
      return { ...facts, transfer: transfer('accepted') };
    case 'transferFailed':
      return { ...facts, transfer: transfer('failed') };
    case 'endRequested':
      return { ...facts, endRequested: facts.endRequested ?? fact.reason };
  }
}

/** True while CallDisconnected stands but a requested transfer has not said how it went: its event may still be on its way. */
export function awaitsTransferOutcome(facts: CallFacts): boolean {
  return facts.disconnected && facts.transfer === 'requested' && facts.endRequested === undefined;
}

/** Why the call ended; meaningful once the state is `ended`. A transfer of unknown outcome counts as done, since ACS ended our leg. */
export function endReason(facts: CallFacts): CallEndReason {
  if (facts.answer === 'refused') return 'answerFailed';
  if (facts.endRequested) return facts.endRequested;
  return facts.transfer === 'accepted' || facts.transfer === 'requested' ? 'transferred' : 'callerHangUp';
}
