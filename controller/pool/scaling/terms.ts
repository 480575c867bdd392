import { slotsForBlocking } from './erlang.ts';
import type { ScalingInput, ScalingTerms } from './types.ts';

/** A worker stops admitting above this share of its memory limit, so slots beyond it cannot take a call. */
const ADMISSION_STOP_SHARE = 0.85;
/** Weight of a new measurement of memory per call. */
const MEMORY_SMOOTHING = 0.3;
/** A worker with fewer calls than this share of its slots says nothing of memory per call: its drift would be taken for call memory. */
const SAMPLE_SHARE = 0.2;
const SAMPLE_MIN_CALLS = 2;
/**
 * Calls that come at random swing about their mean by its square root (the standard deviation of a Poisson number). What stands is lowered only
 * when a swing of so many of them would not ask for it back.
 */
const SWING_DEVIATIONS = 2;

/** The numbers of design section 5; pure arithmetic, no hysteresis. `learnedBytes` is the estimate of the decision before. */
export function computeTerms(input: ScalingInput, learnedBytes: number | undefined): ScalingTerms {
  const { scaling, slotsPerWorker } = input;
  const callsInProgress = sum(input.workers.map((worker) => worker.calls ?? 0));
  // Another source may lag behind what the workers have already: the larger number counts.
  const told = input.offered?.kind === 'known' ? input.offered.calls : 0;
  // Workers refuse calls while Redis is full: more workers would bring more keys, not more room.
  const refusedCalls = input.redisFull ? 0 : (input.refusedCalls ?? 0);
  const offeredCalls = Math.max(told, callsInProgress + refusedCalls);
  const limitBytes = least(input.workers.map((worker) => worker.memoryLimitBytes)) ?? input.memoryLimitBytes;
  const baselineBytes = median(input.workers.map((worker) => worker.memoryBaselineBytes));
  const perCallBytes = learnMemoryPerCall(input, learnedBytes);
  const budgetBytes = (scaling.memoryThresholdPercent / 100) * limitBytes - (baselineBytes ?? 0);
  const memoryBaselineHigh = baselineBytes !== undefined && budgetBytes <= 0;

  const byConnections = Math.max(1, (scaling.connectionsThresholdPercent / 100) * slotsPerWorker);
  // A baseline over the threshold is not lowered by more workers: the memory term would multiply them without end.
  const byMemory = perCallBytes && !memoryBaselineHigh ? Math.max(1, budgetBytes / perCallBytes) : undefined;
  const usableSlots = Math.min(byConnections, byMemory ?? byConnections);

  const admissionBytes = ADMISSION_STOP_SHARE * limitBytes - (baselineBytes ?? 0);
  const admissionSlots =
    perCallBytes && !memoryBaselineHigh
      ? Math.max(1, Math.min(slotsPerWorker, Math.floor(admissionBytes / perCallBytes)))
      : slotsPerWorker;
  const slots = { usable: usableSlots, admission: admissionSlots, blocking: scaling.targetBlockingProbability };
  const needed = workersFor(offeredCalls, slots);
  const swung = workersFor(offeredCalls + SWING_DEVIATIONS * Math.sqrt(offeredCalls), slots);
  return {
    offeredCalls,
    redisFull: input.redisFull ?? false,
    scheduleFloor: input.scheduleFloor,
    sourceMissing: input.offered?.kind === 'missing' ? input.offered.reason : undefined,
    callsInProgress,
    refusedCalls: input.refusedCalls,
    usableSlotsByConnections: byConnections,
    usableSlotsByMemory: byMemory,
    usableSlots,
    memoryPerCallBytes: perCallBytes,
    memoryBaselineBytes: baselineBytes,
    memoryBaselineHigh,
    ...needed,
    workersWanted: needed.workersForLoad + needed.headroomWorkers,
    workersToKeep: swung.workersForLoad + swung.headroomWorkers,
    loadAfterRemovalPercent: undefined,
    unknownWorkers: input.workers.filter((worker) => !worker.known).map((worker) => worker.id),
    uncountedWorkers: input.workers.filter((worker) => worker.calls === undefined).length,
  };
}

function workersFor(
  offeredCalls: number,
  { usable, admission, blocking }: { usable: number; admission: number; blocking: number },
): Pick<ScalingTerms, 'workersForLoad' | 'slotsForBlocking' | 'headroomWorkers'> {
  const workersForLoad = Math.ceil(offeredCalls / usable);
  const neededSlots = slotsForBlocking(offeredCalls, blocking);
  const headroomWorkers = Math.max(0, Math.ceil(neededSlots / admission) - workersForLoad);
  return { workersForLoad, slotsForBlocking: neededSlots, headroomWorkers };
}

/** Load of the rest when `workers` is one fewer; memory is counted above the idle baseline and left out when that alone is over the mark. */
export function loadAfterRemoval(
  input: ScalingInput,
  terms: ScalingTerms,
  remaining: number,
): { connections: number; memory: number | undefined } {
  const limitBytes = least(input.workers.map((worker) => worker.memoryLimitBytes)) ?? input.memoryLimitBytes;
  const connections = (100 * terms.offeredCalls) / (remaining * input.slotsPerWorker);
  const baselineBytes = terms.memoryBaselineBytes ?? 0;
  const markBytes = (input.scaling.scaleDownMemoryPercent / 100) * limitBytes;
  const memory =
    terms.memoryPerCallBytes === undefined || baselineBytes >= markBytes
      ? undefined
      : (100 * (baselineBytes + (terms.memoryPerCallBytes * terms.offeredCalls) / remaining)) / limitBytes;
  return { connections, memory };
}

function learnMemoryPerCall(input: ScalingInput, learnedBytes: number | undefined): number | undefined {
  const sampleCalls = Math.max(SAMPLE_MIN_CALLS, Math.ceil(SAMPLE_SHARE * input.slotsPerWorker));
  const samples = input.workers.map(({ known, calls, memoryBytes, memoryBaselineBytes }) =>
    known &&
    calls !== undefined &&
    calls >= sampleCalls &&
    memoryBytes !== undefined &&
    memoryBaselineBytes !== undefined
      ? Math.max(0, memoryBytes - memoryBaselineBytes) / calls
      : undefined,
  );
  const measured = median(samples);
  if (measured === undefined) return learnedBytes;
  return learnedBytes === undefined ? measured : learnedBytes + MEMORY_SMOOTHING * (measured - learnedBytes);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function present(values: readonly (number | undefined)[]): number[] {
  return values.filter((value) => value !== undefined).sort((a, b) => a - b);
}

function least(values: readonly (number | undefined)[]): number | undefined {
  return present(values).find((value) => value > 0);
}

function median(values: readonly (number | undefined)[]): number | undefined {
  const sorted = present(values);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}
