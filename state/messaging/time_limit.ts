import type { Clock } from '../../platform/clock.ts';

/** The SDK waits a minute for the answer to a disposition, also when the connection has broken meanwhile. */
export const SETTLE_LIMIT_MS = 5_000;

/** As the promise; rejects with `late()` when it is not settled within `limitMs`. */
export function withinLimit<T>(clock: Clock, limitMs: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () => reject(late()));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
