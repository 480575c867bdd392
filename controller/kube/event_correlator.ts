import type { Clock } from '../../platform/clock.ts';

/** client-go's constants. */
const MAX_REMEMBERED = 4_096;
const SIMILAR_MAX = 10;
const SIMILAR_MS = 600_000;
const BURST = 25;
const REFILL_MS = 300_000;

export interface Happening {
  /** uid of the object, or what else tells it apart. */
  readonly subject: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

/** `write`: with that note; equal keys are one event that counts. `drop`: this object has had too many. */
export type Verdict = { readonly act: 'write'; readonly key: string; readonly note: string } | { readonly act: 'drop' };

interface Similar {
  readonly notes: Set<string>;
  lastMs: number;
}

/**
 * Keeps events readable and few, as client-go's correlator: more than 10 that differ in their words alone become one within 10 minutes, and an
 * object may have 25 writes at once and then one in 5 minutes. What is remembered is bounded, the longest unused goes first.
 */
export class EventCorrelator {
  readonly #clock: Clock;
  readonly #similar = new Map<string, Similar>();
  readonly #budgets = new Map<string, { tokens: number; atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  judge(happening: Happening): Verdict {
    const { subject, type, reason } = happening;
    const group = [subject, type, reason].join('\0');
    const isMany = this.#isMany(group, happening.note);
    if (!this.#takeToken(subject)) return { act: 'drop' };
    const note = isMany ? `(combined from similar events): ${happening.note}` : happening.note;
    return { act: 'write', key: isMany ? group : [group, note].join('\0'), note };
  }

  #isMany(group: string, note: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#similar.get(group);
    const similar = known && nowMs - known.lastMs <= SIMILAR_MS ? known : { notes: new Set<string>(), lastMs: nowMs };
    similar.lastMs = nowMs;
    // Only whether there are more than the limit is asked; keeping every text would grow with each of them.
    if (similar.notes.size <= SIMILAR_MAX) similar.notes.add(note);
    rememberIn(this.#similar, group, similar, MAX_REMEMBERED);
    return similar.notes.size > SIMILAR_MAX;
  }

  #takeToken(subject: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const budget = this.#budgets.get(subject) ?? { tokens: BURST, atMs: nowMs };
    const tokens = Math.min(BURST, budget.tokens + (nowMs - budget.atMs) / REFILL_MS);
    const left = tokens >= 1 ? tokens - 1 : tokens;
    rememberIn(this.#budgets, subject, { tokens: left, atMs: nowMs }, MAX_REMEMBERED);
    return tokens >= 1;
  }
}

/** The longest unused entry makes room: a map keeps the order of insertion. */
export function rememberIn<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= max) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
