import type { Candidate } from '../plan.ts';
import type { ScalingDecision } from './types.ts';

export type Explanation =
  /** How many workers there shall be. */
  | ({ readonly kind: 'scale'; readonly repeats: number } & Stamped & ScalingDecision)
  /** Which worker was retired, and between which the choice was. */
  | ({
      readonly kind: 'victim';
      readonly worker: string;
      readonly reason: string;
      readonly candidates: readonly Candidate[];
    } & Stamped);

interface Stamped {
  /** `<namespace>.<pool>`. */
  readonly pool: string;
  /** Unix milliseconds, for people to read. */
  readonly atMs: number;
}

const ENTRIES_PER_POOL = 64;

/** The last decisions of each pool; equal scaling decisions in a row are one entry, so that a quiet pool does not push the interesting ones out. */
export class Explanations {
  readonly #rings = new Map<string, Explanation[]>();

  addScaling(pool: string, decision: ScalingDecision, atMs: number): void {
    const ring = this.#ring(pool);
    const at = ring.findLastIndex(({ kind }) => kind === 'scale');
    const last = ring[at];
    if (last?.kind === 'scale' && last.verdict === decision.verdict && last.wanted === decision.wanted) {
      ring[at] = { kind: 'scale', ...decision, pool, atMs, repeats: last.repeats + 1 };
      return;
    }
    push(ring, { kind: 'scale', ...decision, pool, atMs, repeats: 0 });
  }

  addVictim(
    pool: string,
    choice: { worker: string; reason: string; candidates: readonly Candidate[] },
    atMs: number,
  ): void {
    push(this.#ring(pool), { kind: 'victim', ...choice, pool, atMs });
  }

  forget(pool: string): void {
    this.#rings.delete(pool);
  }

  /** Newest last. */
  list(pool?: string): readonly Explanation[] {
    if (pool !== undefined) return [...(this.#rings.get(pool) ?? [])];
    return [...this.#rings.values()].flat().sort((a, b) => a.atMs - b.atMs);
  }

  #ring(pool: string): Explanation[] {
    const ring = this.#rings.get(pool) ?? [];
    this.#rings.set(pool, ring);
    return ring;
  }
}

function push(ring: Explanation[], entry: Explanation): void {
  ring.push(entry);
  if (ring.length > ENTRIES_PER_POOL) ring.shift();
}
