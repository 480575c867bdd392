import type { Clock, Timer } from '../../platform/clock.ts';

const TICK_MS = 100;

/** Work that comes round in one period: a list for each tick of it. */
type Wheel = Set<() => void>[];

/**
 * Runs periodic work of many pools from one timer: what falls due in the same tenth of a second runs in the same turn, so that it shares the
 * writes to Redis. Work of one period is spread evenly over it.
 */
export class Rota {
  readonly #clock: Clock;
  readonly #wheels = new Map<number, Wheel>();
  #members = 0;
  #tick = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `periodMs` is rounded to whole ticks. The work must not throw. */
  every(periodMs: number, work: () => void): Timer {
    const ticks = Math.max(1, Math.round(periodMs / TICK_MS));
    const wheel = this.#wheels.get(ticks) ?? Array.from({ length: ticks }, () => new Set<() => void>());
    this.#wheels.set(ticks, wheel);
    const place = wheel.reduce((least, each) => (each.size < least.size ? each : least));
    place.add(work);
    this.#members += 1;
    this.#timer ??= this.#clock.every(TICK_MS, () => this.#turn());
    return { cancel: () => this.#leave(place, work) };
  }

  #turn(): void {
    this.#tick += 1;
    for (const [ticks, wheel] of this.#wheels) for (const work of wheel[this.#tick % ticks] ?? []) work();
  }

  #leave(place: Set<() => void>, work: () => void): void {
    if (!place.delete(work)) return;
    this.#members -= 1;
    if (this.#members > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wheels.clear();
  }
}
