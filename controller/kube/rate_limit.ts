/** client-go's `DefaultTypedControllerRateLimiter`: per key 5 ms, doubling to 1000 s; all keys together 10 a second after a burst of 100. */
const FIRST_MS = 5;
const LONGEST_MS = 1_000_000;
const PER_SECOND = 10;
const BURST = 100;

/** How long a key that failed has to wait before it is tried again. */
export class RetryLimiter {
  readonly #failures = new Map<string, number>();
  #tokens = BURST;
  #filledAtMs: number | undefined;

  /** Counts one failure of the key. */
  delayMs(key: string, nowMs: number): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const own = Math.min(FIRST_MS * 2 ** Math.min(failures, 40), LONGEST_MS);
    return Math.max(own, this.#takeToken(nowMs));
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** A token may be taken before it is there: the caller waits until it would be. */
  #takeToken(nowMs: number): number {
    const elapsedMs = nowMs - (this.#filledAtMs ?? nowMs);
    this.#filledAtMs = nowMs;
    this.#tokens = Math.min(BURST, this.#tokens + (elapsedMs * PER_SECOND) / 1000) - 1;
    return this.#tokens >= 0 ? 0 : (-this.#tokens * 1000) / PER_SECOND;
  }
}
