import { type Clock, systemClock, type Timer } from '../../platform/clock.ts';

export const FRAME_MS = 20;
/** After a longer standstill of the process the missed ticks are dropped: catching up would flood the far end. */
const MAX_CATCH_UP_TICKS = 250;
const LATE_MS = 10;

export interface Ticking {
  /** Once per 20 ms of real time; `nowMs` is monotonic. */
  tick(nowMs: number): void;
}

export interface TickerFigures {
  ticks: number;
  /** Ticks run over 10 ms after they were due. */
  lateTicks: number;
  maxLateMs: number;
  /** Ticks that were given up after a standstill. */
  skippedTicks: number;
}

/** One timer for all calls of a process. The n-th tick is due at start + 20 n, so lateness never adds up. */
export class Ticker {
  readonly figures: TickerFigures = { ticks: 0, lateTicks: 0, maxLateMs: 0, skippedTicks: 0 };
  readonly #clock: Clock;
  readonly #members = new Set<Ticking>();
  #timer: Timer | undefined;
  #dueMs = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  add(member: Ticking): void {
    this.#members.add(member);
    if (this.#timer) return;
    this.#dueMs = this.#clock.monotonicMs() + FRAME_MS;
    this.#arm();
  }

  remove(member: Ticking): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    const delayMs = Math.max(0, this.#dueMs - this.#clock.monotonicMs());
    this.#timer = this.#clock.after(delayMs, () => this.#run());
  }

  #run(): void {
    const nowMs = this.#clock.monotonicMs();
    const behind = Math.floor((nowMs - this.#dueMs) / FRAME_MS);
    if (behind > MAX_CATCH_UP_TICKS) {
      this.figures.skippedTicks += behind;
      this.#dueMs += behind * FRAME_MS;
    }
    while (this.#dueMs <= nowMs && this.#members.size > 0) {
      const lateMs = nowMs - this.#dueMs;
      this.figures.ticks += 1;
      if (lateMs > LATE_MS) this.figures.lateTicks += 1;
      if (lateMs > this.figures.maxLateMs) this.figures.maxLateMs = lateMs;
      this.#dueMs += FRAME_MS;
      for (const member of this.#members) member.tick(nowMs);
    }
    if (this.#members.size > 0) this.#arm();
    else this.#timer = undefined;
  }
}
