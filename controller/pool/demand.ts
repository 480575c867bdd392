/** Refused callers ring again or give up within about this time, so a refusal counts as demand for as long. */
const DEMAND_WINDOW_MS = 60_000;
const MAX_ENTRIES = 256;

/** Calls that found no slot lately, from a counter that only grows (and starts anew when Redis was emptied). */
export class RefusedDemand {
  #lastTotal: number | undefined;
  readonly #entries: { atMs: number; count: number }[] = [];

  /** `total`: the counter now. The first reading is history of before this controller and counts nothing. */
  observe(total: number, nowMs: number): void {
    const last = this.#lastTotal;
    this.#lastTotal = total;
    if (last === undefined || total === last) return;
    const count = total > last ? total - last : total;
    this.#entries.push({ atMs: nowMs, count });
    const first = this.#entries[0];
    const second = this.#entries[1];
    // Bounded by joining the two oldest: no refusal is forgotten early.
    if (this.#entries.length > MAX_ENTRIES && first && second) {
      this.#entries.splice(0, 2, { atMs: second.atMs, count: first.count + second.count });
    }
  }

  within(nowMs: number): number {
    while (this.#entries[0] && nowMs - this.#entries[0].atMs > DEMAND_WINDOW_MS) this.#entries.shift();
    return this.#entries.reduce((total, { count }) => total + count, 0);
  }
}
