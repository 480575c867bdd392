/** Time as a port, so that the same code runs against a simulated clock. */
export interface Clock {
  /** Milliseconds of a monotonic clock: only differences mean anything. Every duration and deadline uses this. */
  monotonicMs(): number;
  /** Unix time in milliseconds, for records that people read and for token expiry; never compared between machines. */
  wallMs(): number;
  /** Runs `callback` once after `delayMs`; does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` every `periodMs`; does not keep the process alive. */
  every(periodMs: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs).unref();
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs).unref();
    return { cancel: () => clearInterval(timer) };
  },
};

/** Resolves after `delayMs`, or rejects with the signal's reason. Keeps the process alive only when the clock's timers do. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', abort);
      resolve();
    });
    signal?.addEventListener('abort', abort, { once: true });
  });
}
