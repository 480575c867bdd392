/** Lengths of calls of a pool, as cumulative counts: `counts[i]` calls were no longer than `seconds[i]`. */
export interface CallLengths {
  /** Upper bounds, growing. */
  readonly seconds: readonly number[];
  readonly counts: readonly number[];
  readonly total: number;
}

/** Before a pool has a history of its own; a voice call of a service line is of this order. */
const ASSUMED_MEAN_SECONDS = 180;
/** Fewer ended calls say little. */
const MIN_HISTORY = 20;

/**
 * Mean time that a call of `ageSeconds` still takes: mean excess life over the observed lengths, the middle of each bucket standing for its calls.
 * A call older than every observed one is expected to take as long again as it has (Lindy's rule); it must not count as about to end.
 */
export function residualSeconds(lengths: CallLengths | undefined, ageSeconds: number): number {
  if (!lengths || lengths.total < MIN_HISTORY) return ASSUMED_MEAN_SECONDS;
  let count = 0;
  let excess = 0;
  let lower = 0;
  let below = 0;
  lengths.seconds.forEach((upper, index) => {
    const inBucket = (lengths.counts[index] ?? 0) - below;
    below = lengths.counts[index] ?? below;
    const middle = (Math.max(lower, Math.min(ageSeconds, upper)) + upper) / 2;
    const survivors = upper <= ageSeconds ? 0 : inBucket * ((upper - Math.max(lower, ageSeconds)) / (upper - lower));
    count += survivors;
    excess += survivors * (middle - ageSeconds);
    lower = upper;
  });
  const beyond = Math.max(0, lengths.total - below);
  count += beyond;
  excess += beyond * Math.max(lower, ageSeconds);
  return count > 0 ? excess / count : Math.max(ageSeconds, ASSUMED_MEAN_SECONDS);
}

/**
 * Time until the last of `calls` has ended, when each still takes `residual` seconds in the mean: the expected maximum of that many
 * exponential times, residual x (1 + 1/2 + … + 1/n).
 */
export function expectedDrainSeconds(calls: number, residual: number): number {
  let harmonic = 0;
  for (let n = 1; n <= calls; n++) harmonic += 1 / n;
  return residual * harmonic;
}
