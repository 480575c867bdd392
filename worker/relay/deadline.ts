import type { Clock, Timer } from '../../platform/clock.ts';

const SLICES = 5;

/**
 * A deadline for another process that does not run while this one stands still: each slice counts at most once, however late its timer
 * fires, and answers that have arrived meanwhile are read between two slices. Else a busy worker would take calls from healthy owners.
 */
export function fairDeadline(clock: Clock, totalMs: number, expired: () => void): Timer {
  let left = SLICES;
  const next = (): Timer =>
    clock.after(totalMs / SLICES, () => {
      left--;
      if (left > 0) timer = next();
      else expired();
    });
  let timer = next();
  return { cancel: () => timer.cancel() };
}
