import type { Random } from '../../platform/random.ts';

const MIN_MS = 200;
const MAX_MS = 15_000;

/** Waits that double up to 15 s; the jitter (half to whole) keeps a fleet from coming back in step. */
export class Backoff {
  readonly #random: Random;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Milliseconds to wait after one more failure; never less than what the other side asked for. */
  next(retryAfterMs = 0): number {
    const ceilingMs = Math.min(MAX_MS, MIN_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    return Math.max(retryAfterMs, ceilingMs * (0.5 + this.#random.fraction() / 2));
  }

  reset(): void {
    this.#failures = 0;
  }
}
