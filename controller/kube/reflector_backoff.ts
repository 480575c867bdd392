import type { Random } from '../../platform/random.ts';

/**
 * As client-go: from 0.8 s, doubling, each with up to as much again of jitter; two minutes without a failure start it anew. The longest is 10 s
 * and not 30: until a watch is back decisions are made on what was, and the few watches of two controllers are no herd.
 */
const FIRST_MS = 800;
const LONGEST_MS = 10_000;
const RESET_MS = 120_000;

/** How long a reflector waits after a failure. */
export class ReflectorBackoff {
  readonly #random: Random;
  #nextMs = FIRST_MS;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(random: Random) {
    this.#random = random;
  }

  /** No failure lately. */
  isReset(nowMs: number): boolean {
    return nowMs - this.#lastMs > RESET_MS;
  }

  /** Counts a failure; the wait after it. */
  nextMs(nowMs: number): number {
    if (this.isReset(nowMs)) this.#nextMs = FIRST_MS;
    const waitMs = this.#nextMs * (1 + this.#random.fraction());
    this.#nextMs = Math.min(this.#nextMs * 2, LONGEST_MS);
    // From the end of the wait: a wait of minutes that the server asked for must not count as quiet.
    this.#lastMs = nowMs + waitMs;
    return waitMs;
  }
}
