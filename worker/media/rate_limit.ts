/** Tells when `limit` events have fallen within one second: exact, by the times of the last `limit` events. */
export class PerSecondLimit {
  readonly #limit: number;
  #timesMs: Float64Array | undefined;
  #next = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Counts one event; true when it is at least the `limit`-th within the last second. */
  hit(nowMs: number): boolean {
    // made on first use: nearly all calls never need it
    this.#timesMs ??= new Float64Array(this.#limit).fill(Number.NEGATIVE_INFINITY);
    this.#timesMs[this.#next] = nowMs;
    this.#next = (this.#next + 1) % this.#limit;
    return nowMs - (this.#timesMs[this.#next] as number) < 1000;
  }

  reset(): void {
    this.#timesMs = undefined;
    this.#next = 0;
  }
}
