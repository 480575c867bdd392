import type { Clock } from '../../platform/clock.ts';

/** Ids that stand in the outbox streams of this worker's calls, with since when. Bounded by the turns a call may have. */
export class PendingRecords {
  readonly #clock: Clock;
  readonly #calls = new Map<string, Map<string, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    let count = 0;
    for (const ids of this.#calls.values()) count += ids.size;
    return count;
  }

  get oldestSeconds(): number {
    const nowMs = this.#clock.monotonicMs();
    let oldestMs = nowMs;
    for (const ids of this.#calls.values()) for (const sinceMs of ids.values()) oldestMs = Math.min(oldestMs, sinceMs);
    return (nowMs - oldestMs) / 1000;
  }

  calls(): string[] {
    return [...this.#calls.keys()];
  }

  ids(call: string): string[] {
    return [...(this.#calls.get(call)?.keys() ?? [])];
  }

  has(call: string): boolean {
    return this.#calls.has(call);
  }

  add(call: string, ids: readonly string[]): void {
    if (ids.length === 0) return;
    const known = this.#calls.get(call) ?? new Map<string, number>();
    this.#calls.set(call, known);
    for (const id of ids) if (!known.has(id)) known.set(id, this.#clock.monotonicMs());
  }

  remove(call: string, ids: readonly string[]): void {
    const known = this.#calls.get(call);
    for (const id of ids) known?.delete(id);
    if (known?.size === 0) this.#calls.delete(call);
  }

  forget(call: string): void {
    this.#calls.delete(call);
  }
}
