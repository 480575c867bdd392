import type { CallSummary, OutboxEntry } from '../ports.ts';

/** Id of the record in its call: one for each, so that a repetition is harmless. */
export const ANALYTICS_ID = 'analytics';

export interface CallFigures {
  /** `<namespace>.<pool>`. */
  readonly pool: string;
  /** From the IncomingCall event to the first media frame out; undefined when there was none. */
  readonly setupMs: number | undefined;
  /** From the end of the caller's words to the first audio of each answer. */
  readonly responseMs: readonly number[];
}

export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

/**
 * What reports over many calls need of an ended call: one record, without a number or a word of the caller. Its members are those
 * that the sealing policy leaves clear.
 */
export function callAnalytics(summary: CallSummary, { pool, setupMs, responseMs }: CallFigures): OutboxEntry {
  const { callConnectionId, callRef, startedAtMs, endedAtMs, reason, turns, workers, partial } = summary;
  const response = distributionOf(responseMs);
  return {
    id: ANALYTICS_ID,
    kind: 'analytics',
    body: {
      ...{ v: 1, callConnectionId, callRef, pool, workers, startedAtMs, endedAtMs, reason, turns, partial },
      // Two owners' clocks may differ.
      durationMs: Math.max(0, endedAtMs - startedAtMs),
      latencies: {
        ...(setupMs === undefined ? {} : { setupMs }),
        ...(response ? { responseMs: response } : {}),
      },
    },
  };
}

/** Nearest rank, so that each figure is one that was measured; undefined without any. */
export function distributionOf(values: readonly number[]): Distribution | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  const [p50, p95, max] = [at(0.5), at(0.95), sorted.at(-1)];
  if (p50 === undefined || p95 === undefined || max === undefined) return undefined;
  return { count: sorted.length, p50, p95, max };
}
