import type { Clock } from '../../platform/clock.ts';

/** The text that ioredis gives its own time-out; `redisError` knows it. */
const TIMED_OUT = 'Command timed out';

/** The promise's own outcome, or an error after `limitMs`; what comes later is dropped. */
export function within<T>(clock: Clock, limitMs: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () => reject(new Error(TIMED_OUT)));
    void promise.then(resolve, reject).finally(() => timer.cancel());
  });
}
