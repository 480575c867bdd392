import { judge } from './judge.ts';
import type { RevisionQuality, RolloutPhase, RolloutState, UpdatePolicy } from './types.ts';

export interface RolloutInput {
  readonly nowMs: number;
  /** Hash of the document as it is now. */
  readonly desired: string;
  readonly policy: UpdatePolicy;
  /** Revisions that existing workers are of, whatever their state. */
  readonly present: ReadonlySet<string>;
  /** Admitting workers of each revision. */
  readonly admitting: ReadonlyMap<string, number>;
  readonly quality: (revision: string) => RevisionQuality;
}

export function initialRollout(revision: string, nowMs: number): RolloutState {
  return { phase: 'Stable', stable: revision, update: revision, sinceMs: nowMs, reason: 'one revision', failed: false };
}

/** One pass of the roll-out. Pure: the same state and figures always give the same next state. */
export function stepRollout(state: RolloutState, input: RolloutInput): RolloutState {
  const { desired } = input;
  if (desired === state.stable) return settled(state, input);
  if (desired !== state.update) return begin(state, input);
  switch (state.phase) {
    case 'RolledBack':
      return state;
    case 'Paused':
      return state.failed || input.policy.paused ? state : begin(state, input);
    case 'Stable':
      return begin(state, input);
    case 'Canary':
    case 'Rolling':
      return input.policy.paused ? enter(state, 'Paused', input, 'update.paused is set') : advance(state, input);
  }
}

/** The document names the proven revision (again): whatever else runs is brought back to it. */
function settled(state: RolloutState, input: RolloutInput): RolloutState {
  if (state.phase === 'Stable' && state.update === state.stable) return state;
  return { ...initialRollout(state.stable, input.nowMs), reason: 'the document names the proven revision' };
}

function begin(state: RolloutState, input: RolloutInput): RolloutState {
  const { desired, policy, present } = input;
  // Nothing runs that could be compared with or lost.
  if (!present.has(state.stable)) {
    return { ...initialRollout(desired, input.nowMs), reason: `revision ${desired} is the first` };
  }
  const next = { ...state, update: desired, failed: false };
  if (policy.paused) return enter(next, 'Paused', input, 'update.paused is set');
  if (policy.canary.workers > 0) {
    return enter(next, 'Canary', input, `${policy.canary.workers} workers try revision ${desired}`);
  }
  return enter(next, 'Rolling', input, `revision ${state.stable} is replaced by ${desired}`);
}

function advance(state: RolloutState, input: RolloutInput): RolloutState {
  const { policy, nowMs } = input;
  const update = input.quality(state.update);
  const verdict = judge(update, input.quality(state.stable), policy);
  if (verdict.kind === 'bad') {
    const phase = policy.onFailure === 'Rollback' ? 'RolledBack' : 'Paused';
    return { ...enter(state, phase, input, verdict.reason), failed: true };
  }
  if (state.phase === 'Rolling') return finishedRolling(state, input) ? done(state, input) : state;
  if (verdict.kind === 'good') return enter(state, 'Rolling', input, verdict.reason);
  // A quiet pool must not stay half-way for ever; what was seen until now was no worse.
  if (nowMs - state.sinceMs >= policy.canary.maxSeconds * 1000 && update.ready > 0) {
    return enter(state, 'Rolling', input, `${verdict.reason} in ${policy.canary.maxSeconds} s, none of them worse`);
  }
  return state;
}

function finishedRolling(state: RolloutState, { admitting }: RolloutInput): boolean {
  const others = [...admitting].some(([revision, count]) => revision !== state.update && count > 0);
  return !others && (admitting.get(state.update) ?? 0) > 0;
}

function done(state: RolloutState, input: RolloutInput): RolloutState {
  return {
    ...initialRollout(state.update, input.nowMs),
    reason: `revision ${state.update} has replaced ${state.stable}`,
  };
}

function enter(state: RolloutState, phase: RolloutPhase, { nowMs }: RolloutInput, reason: string): RolloutState {
  return { ...state, phase, sinceMs: nowMs, reason };
}
