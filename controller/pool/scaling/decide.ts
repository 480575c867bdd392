import { computeTerms, loadAfterRemoval } from './terms.ts';
import type { ScalingDecision, ScalingInput, ScalingMemory, ScalingTerms, ScalingVerdict } from './types.ts';

/** Decisions in a row that must ask for more before the number is raised: one reading may be noise. */
export const BREACHES_TO_RAISE = 2;

/** Callers that are turned away are no noise: a load that asks for so many times the workers is followed at once. */
export const PANIC_FACTOR = 2;

/** More workers than this share of all without any count of their calls, and the sums say nothing. */
const UNCOUNTED_SHARE = 1 / 3;

/** The state to start from: never below what runs already, so that a restart of the controller lowers nothing. */
export function initialMemory(existingWorkers: number, minWorkers: number, maxWorkers: number): ScalingMemory {
  const wanted = Math.min(Math.max(existingWorkers, minWorkers), maxWorkers);
  return { wanted, breaches: 0, lowSinceMs: undefined, panicUntilMs: undefined, memoryPerCallBytes: undefined };
}

/** One pass of the scaling rule: pure, so that every decision can be replayed from its explanation. */
export function decide(
  memory: ScalingMemory,
  input: ScalingInput,
): { memory: ScalingMemory; decision: ScalingDecision } {
  const terms = computeTerms(input, memory.memoryPerCallBytes);
  const learned = { ...memory, memoryPerCallBytes: terms.memoryPerCallBytes };
  if (input.scaling.mode !== 'Automatic') return given(learned, input, terms);
  const floor = activeFloor(input);
  const lowest = Math.min(input.maxWorkers, Math.max(input.minWorkers, floor ?? 0, input.scheduleFloor));
  const before = clamp(memory.wanted, lowest, input.maxWorkers);
  const target = clamp(terms.workersWanted, lowest, input.maxWorkers);

  if (before !== memory.wanted) {
    const verdict = before > memory.wanted ? 'ScaledUp' : 'ScaledDown';
    const reason = `the bounds ${lowest}..${input.maxWorkers} of the pool${floor ? ' and the floor set by /scale' : ''} apply at once`;
    return result(
      { ...learned, wanted: before, breaches: 0, lowSinceMs: undefined },
      verdict,
      memory.wanted,
      reason,
      terms,
      floor,
    );
  }
  if (target > before && isBlind(input, terms)) {
    const reason = `the calls of ${terms.uncountedWorkers} of ${input.workers.length} workers are not known; only refused calls raise the number now`;
    return result({ ...learned, breaches: 0, lowSinceMs: undefined }, 'Frozen', before, reason, terms, floor);
  }
  return target > before
    ? raise(learned, input, before, target, terms, floor)
    : hold(learned, input, before, clamp(terms.workersToKeep, lowest, input.maxWorkers), terms, floor);
}

function raise(
  memory: ScalingMemory,
  input: ScalingInput,
  before: number,
  target: number,
  terms: ScalingTerms,
  floor: number | undefined,
) {
  const breaches = memory.breaches + 1;
  const panics = !terms.redisFull && (input.refusedCalls ?? 0) > 0 && target >= PANIC_FACTOR * before;
  const panicUntilMs = panics ? input.nowMs + input.scaling.scaleDownStabilizationSeconds * 1000 : memory.panicUntilMs;
  const why = `${round(terms.offeredCalls)} calls offered over ${round(terms.usableSlots)} usable slots need ${terms.workersForLoad} workers, plus ${terms.headroomWorkers} head-room`;
  if (breaches < BREACHES_TO_RAISE && !panics) {
    return result(
      { ...memory, breaches, lowSinceMs: undefined },
      'BreachSeen',
      before,
      `${why}; waiting for a second breach in a row`,
      terms,
      floor,
    );
  }
  return result(
    { ...memory, wanted: target, breaches: 0, lowSinceMs: undefined, panicUntilMs },
    'ScaledUp',
    before,
    panics ? `${why}; that is twice as many, so it is followed at once` : why,
    terms,
    floor,
  );
}

/** The load fits: stay, or lower by one when that would have been enough for the whole stabilisation time. */
function hold(
  memory: ScalingMemory,
  input: ScalingInput,
  before: number,
  target: number,
  terms: ScalingTerms,
  floor: number | undefined,
) {
  const calm = { ...memory, breaches: 0 };
  if (terms.workersWanted > input.maxWorkers && before === input.maxWorkers) {
    const reason = `${terms.workersWanted} workers are needed, maxWorkers allows ${input.maxWorkers}`;
    return result({ ...calm, lowSinceMs: undefined }, 'AtMaximum', before, reason, terms, floor);
  }
  if (target >= before) {
    const swings = terms.workersWanted < before && floor === undefined && terms.workersToKeep >= before;
    const reason = swings
      ? `${terms.workersWanted} workers fit the load, but a swing of it would ask for ${before} again`
      : `${before} workers fit the load`;
    return result({ ...calm, lowSinceMs: undefined }, 'Steady', before, reason, terms, floor);
  }
  const frozen = freezeReason(input, terms);
  if (frozen) return result({ ...calm, lowSinceMs: undefined }, 'Frozen', before, frozen, terms, floor);

  if (calm.panicUntilMs !== undefined && input.nowMs < calm.panicUntilMs) {
    const seconds = Math.ceil((calm.panicUntilMs - input.nowMs) / 1000);
    const reason = `the load had doubled; nothing is lowered for ${seconds} s more`;
    return result({ ...calm, lowSinceMs: undefined }, 'Stabilising', before, reason, terms, floor);
  }
  const after = loadAfterRemoval(input, terms, before - 1);
  const explained = { ...terms, loadAfterRemovalPercent: after };
  const { scaleDownConnectionsPercent, scaleDownMemoryPercent, scaleDownStabilizationSeconds } = input.scaling;
  if (after.connections >= scaleDownConnectionsPercent || (after.memory ?? 0) >= scaleDownMemoryPercent) {
    const reason = `without one worker the rest would be at ${round(after.connections)} % connections and ${round(after.memory ?? 0)} % memory`;
    return result({ ...calm, lowSinceMs: undefined }, 'Steady', before, reason, explained, floor);
  }
  const lowSinceMs = calm.lowSinceMs ?? input.nowMs;
  const leftSeconds = scaleDownStabilizationSeconds - (input.nowMs - lowSinceMs) / 1000;
  if (leftSeconds > 0) {
    const reason = `one worker fewer would do; it must stay so for ${Math.ceil(leftSeconds)} s more`;
    return result({ ...calm, lowSinceMs }, 'Stabilising', before, reason, explained, floor);
  }
  const reason = `one worker fewer has been enough for ${scaleDownStabilizationSeconds} s`;
  return result({ ...calm, wanted: before - 1, lowSinceMs: undefined }, 'ScaledDown', before, reason, explained, floor);
}

/** External takes the number from `/scale`, Fixed from `minWorkers`; both stay within the bounds. */
function given(memory: ScalingMemory, input: ScalingInput, terms: ScalingTerms) {
  const fixed = input.scaling.mode === 'Fixed';
  const number = fixed ? input.minWorkers : (input.requestedReplicas ?? memory.wanted);
  const wanted = clamp(number, input.minWorkers, input.maxWorkers);
  const reason = fixed
    ? 'scaling.mode is Fixed: minWorkers is the number'
    : 'scaling.mode is External: /scale is the number';
  return result(
    { ...memory, wanted, breaches: 0, lowSinceMs: undefined },
    'Given',
    memory.wanted,
    reason,
    terms,
    undefined,
  );
}

/** Sums over so few workers are no ground to make more; a caller who was turned away is. */
function isBlind(input: ScalingInput, terms: ScalingTerms): boolean {
  const refused = terms.redisFull ? 0 : (input.refusedCalls ?? 0);
  return refused === 0 && terms.uncountedWorkers > UNCOUNTED_SHARE * input.workers.length;
}

function freezeReason(input: ScalingInput, terms: ScalingTerms): string | undefined {
  if (terms.sourceMissing !== undefined) return `the source of the offered calls says nothing: ${terms.sourceMissing}`;
  if (terms.unknownWorkers.length > 0) return `figures of ${terms.unknownWorkers.length} workers are missing or stale`;
  return input.refusedCalls === undefined ? 'Redis cannot say how many calls were refused' : undefined;
}

function activeFloor(input: ScalingInput): number | undefined {
  const { requestedReplicas, floorUntilMs, nowMs } = input;
  if (requestedReplicas === undefined || floorUntilMs === undefined || nowMs >= floorUntilMs) return undefined;
  return Math.min(requestedReplicas, input.maxWorkers);
}

function result(
  memory: ScalingMemory,
  verdict: ScalingVerdict,
  before: number,
  reason: string,
  terms: ScalingTerms,
  floor: number | undefined,
): { memory: ScalingMemory; decision: ScalingDecision } {
  return { memory, decision: { verdict, before, wanted: memory.wanted, reason, terms, floor } };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
