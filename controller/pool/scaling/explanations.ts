import type { ScalingDecision } from './types.ts';

export interface Explanation extends ScalingDecision {
  readonly pool: string;
  /** Unix milliseconds, for people to read. */
  readonly atMs: number;
  /** How often the same verdict was repeated since; only the newest terms are kept. */
  readonly repeats: number;
}

const RING_SIZE = 256;

/** The last scaling decisions; equal ones in a row are one entry, so that a quiet pool does not push the interesting ones out. */
export class Explanations {
  readonly #entries: Explanation[] = [];

  add(pool: string, decision: ScalingDecision, atMs: number): void {
    const at = this.#entries.findLastIndex((entry) => entry.pool === pool);
    const last = this.#entries[at];
    if (last && last.verdict === decision.verdict && last.wanted === decision.wanted) {
      this.#entries[at] = { ...decision, pool, atMs, repeats: last.repeats + 1 };
      return;
    }
    this.#entries.push({ ...decision, pool, atMs, repeats: 0 });
    if (this.#entries.length > RING_SIZE) this.#entries.shift();
  }

  /** Newest last. */
  list(pool?: string): readonly Explanation[] {
    return pool === undefined ? [...this.#entries] : this.#entries.filter((entry) => entry.pool === pool);
  }
}
