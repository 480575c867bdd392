import type { Clock } from '../../platform/clock.ts';

/** A map that forgets: entries after their time, and the one that was not used for longest beyond `limit`. */
export class BoundedMemory<T> {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #ttlMs: number;
  /** In the order of their last use. */
  readonly #entries = new Map<string, { value: T; untilMs: number }>();

  /** `ttlMs` counts from when an entry was set; infinite when it lives as long as it is used. */
  constructor(options: { clock: Clock; limit: number; ttlMs?: number }) {
    this.#clock = options.clock;
    this.#limit = options.limit;
    this.#ttlMs = options.ttlMs ?? Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    if (this.#clock.monotonicMs() >= entry.untilMs) return undefined;
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: T): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs: this.#clock.monotonicMs() + this.#ttlMs });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#limit && oldest !== undefined) this.#entries.delete(oldest);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
