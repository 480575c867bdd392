import type { Clock, Timer } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { MediaMetrics } from './metrics.ts';
import { FRAME_MS } from './settings.ts';

/** What the pacer drives. */
export interface Paced {
  /** Sends what is due; false when there is nothing left to do, until the next `wake`. */
  tick(nowMs: number): boolean;
}

/**
 * One 20 ms tick for all calls of the process, so that a thousand calls cost one timer. Due times are absolute: a late tick does not
 * move the next one. It stops while nobody plays.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #metrics: MediaMetrics;
  readonly #log: Log;
  readonly #active: Paced[] = [];
  #dueMs = 0;
  #timer: Timer | undefined;
  readonly #onTick = (): void => this.#tick();

  constructor(options: { clock: Clock; metrics: MediaMetrics; log: Log }) {
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#log = options.log;
  }

  /** Adds to the ticks; the caller sees to it that it is not added twice. */
  wake(paced: Paced): void {
    this.#active.push(paced);
    if (this.#timer) return;
    this.#dueMs = this.#clock.monotonicMs();
    this.#timer = this.#clock.after(0, this.#onTick);
  }

  get activeCount(): number {
    return this.#active.length;
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#metrics.lateTick(nowMs - this.#dueMs);
    const active = this.#active;
    // from the end, since one that is done is replaced by the last; those woken meanwhile wait for the next tick
    for (let i = active.length - 1; i >= 0; i--) {
      if (this.#tickOne(active[i] as Paced, nowMs)) continue;
      const last = active.pop() as Paced;
      if (i < active.length) active[i] = last;
    }
    if (active.length === 0) {
      this.#timer = undefined;
      return;
    }
    this.#dueMs += FRAME_MS;
    const afterMs = this.#clock.monotonicMs();
    // whole ticks that were missed are passed over: players catch up by their own clocks
    if (afterMs > this.#dueMs) this.#dueMs += Math.ceil((afterMs - this.#dueMs) / FRAME_MS) * FRAME_MS;
    this.#timer = this.#clock.after(this.#dueMs - afterMs, this.#onTick);
  }

  #tickOne(paced: Paced, nowMs: number): boolean {
    try {
      return paced.tick(nowMs);
    } catch (error) {
      // the fault of one call's listener must not stop the audio of all others; the call is tried again at the next tick
      this.#log.error({ err: error }, 'a call failed in the pacing tick');
      return true;
    }
  }
}
