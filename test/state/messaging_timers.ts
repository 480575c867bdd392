/**
 * `@azure/service-bus` keeps a timer of a minute for every disposition that is never answered, also after its client was closed.
 * Importing this keeps such timers from holding up the end of a test process; they run all the same while it lives.
 */
const LONG_MS = 30_000;
const original = globalThis.setTimeout;

function patched(callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]): NodeJS.Timeout {
  const timer = original(callback, delayMs, ...args);
  return (delayMs ?? 0) >= LONG_MS ? timer.unref() : timer;
}

globalThis.setTimeout = Object.assign(patched, original) as typeof setTimeout;
