import { slotsForBlocking } from './erlang.ts';
import type { ScalingInput, ScalingTerms } from './types.ts';

/** A worker stops admitting above this share of its memory limit, so slots beyond it cannot take a call. */
const ADMISSION_STOP_SHARE = 0.85;
/** Weight of a new measurement of memory per call. */
const MEMORY_SMOOTHING = 0.3;
/** A worker with fewer calls than this share of its slots says nothing of memory per call: its drift would be taken for call memory. */
const SAMPLE_SHARE = 0.2;
const SAMPLE_MIN_CALLS = 2;

/** The numbers of design section 5; pure arithmetic, no hysteresis. `learnedBytes` is the estimate of the decision before. */
export function computeTerms(input: ScalingInput, learnedBytes: number | undefined): ScalingTerms {
  const { scaling, slotsPerWorker } = input;
  const callsInProgress = sum(input.workers.map((worker) => worker.calls ?? 0));
  const offeredCalls = callsInProgress + (input.refusedCalls ?? 0);
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
  const workersForLoad = Math.ceil(offeredCalls / usableSlots);
  const neededSlots = slotsForBlocking(offeredCalls, scaling.targetBlockingProbability);
  const headroomWorkers = Math.max(0, Math.ceil(neededSlots / admissionSlots) - workersForLoad);
  return {
    offeredCalls,
    callsInProgress,
    refusedCalls: input.refusedCalls,
    usableSlotsByConnections: byConnections,
    usableSlotsByMemory: byMemory,
    usableSlots,
    memoryPerCallBytes: perCallBytes,
    memoryBaselineBytes: baselineBytes,
    memoryBaselineHigh,
    workersForLoad,
    slotsForBlocking: neededSlots,
    headroomWorkers,
    workersWanted: workersForLoad + headroomWorkers,
    loadAfterRemovalPercent: undefined,
    unknownWorkers: input.workers.filter((worker) => !worker.known).map((worker) => worker.id),
  };
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
