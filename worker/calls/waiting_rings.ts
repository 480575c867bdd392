import type { RingRecord } from '../../contract/records.ts';
import type { Clock, Timer } from '../../platform/clock.ts';

/** Rings that one receiver keeps while its pool recovers; a further one is left to Event Grid's redelivery. */
const LIMIT = 256;
const RETRY_MS = 250;

/** Rings that came while the pool was RECOVERING: placed as soon as that is over, dropped when their ring time is. */
export class WaitingRings {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #place: (ring: RingRecord) => Promise<boolean>;
  readonly #rings = new Map<string, { ring: RingRecord; sinceMs: number }>();
  #timer: Timer | undefined;

  constructor(clock: Clock, keepMs: number, place: (ring: RingRecord) => Promise<boolean>) {
    this.#clock = clock;
    this.#keepMs = keepMs;
    this.#place = place;
  }

  get size(): number {
    return this.#rings.size;
  }

  add(ring: RingRecord): void {
    if (this.#rings.has(ring.ringId) || this.#rings.size >= LIMIT) return;
    this.#rings.set(ring.ringId, { ring, sinceMs: this.#clock.monotonicMs() });
    this.#timer ??= this.#clock.after(RETRY_MS, () => void this.#tryAll());
  }

  close(): void {
    this.#timer?.cancel();
    this.#rings.clear();
  }

  async #tryAll(): Promise<void> {
    for (const [id, { ring, sinceMs }] of this.#rings) {
      const over = this.#clock.monotonicMs() - sinceMs > this.#keepMs;
      if (over || (await this.#place(ring))) this.#rings.delete(id);
      else break;
    }
    this.#timer = this.#rings.size > 0 ? this.#clock.after(RETRY_MS, () => void this.#tryAll()) : undefined;
  }
}
