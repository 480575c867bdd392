import { type CrashView, exists, type PoolView } from './view.ts';

/** A worker that lived this long did start well: its end is not part of a crash loop. */
const EARLY_DEATH_MS = 60_000;
/** Early deaths in a row from which a crash loop is reported. */
export const CRASH_LOOP_STREAK = 3;
const FIRST_HOLD_MS = 1_000;
const LONGEST_HOLD_MS = 60_000;
/** After this long without a crash the next one counts as the first. */
const FORGIVEN_AFTER_MS = 180_000;

export interface CrashState {
  readonly streak: number;
  readonly lastAtMs: number;
}

export const NO_CRASHES: CrashState = { streak: 0, lastAtMs: Number.NEGATIVE_INFINITY };

/** Counts one end that nobody asked for, of a worker that had lived `livedMs`. */
export function countCrash(state: CrashState, livedMs: number, nowMs: number): CrashState {
  if (livedMs >= EARLY_DEATH_MS) return { streak: 0, lastAtMs: nowMs };
  const forgiven = nowMs - state.lastAtMs > FORGIVEN_AFTER_MS;
  return { streak: (forgiven ? 0 : state.streak) + 1, lastAtMs: nowMs };
}

/** The first early death is replaced at once; from the second on the hold doubles from 1 s to 60 s. */
export function crashView(state: CrashState, nowMs: number): CrashView {
  if (state.streak === 0 || nowMs - state.lastAtMs > FORGIVEN_AFTER_MS) return { streak: 0, holdMs: 0 };
  const holdMs = state.streak < 2 ? 0 : Math.min(FIRST_HOLD_MS * 2 ** (state.streak - 2), LONGEST_HOLD_MS);
  return { streak: state.streak, holdMs: Math.max(0, state.lastAtMs + holdMs - nowMs) };
}

/** Counts the ends that nobody asked for in the views of one pool, each once. */
export class CrashCounter {
  #state = NO_CRASHES;
  readonly #counted = new Set<string>();

  observe({ workers, nowMs }: Pick<PoolView, 'workers' | 'nowMs'>): void {
    const ends = workers.map((worker) => ({
      worker,
      key: exists(worker) ? `${worker.id}#${worker.restarts}` : worker.id,
    }));
    for (const key of this.#counted) if (!ends.some((end) => end.key === key)) this.#counted.delete(key);
    for (const { worker, key } of ends) {
      const ended = !exists(worker) || worker.restarts > 0;
      if (!ended || worker.stopping || this.#counted.has(key)) continue;
      this.#counted.add(key);
      // Of a restart in place only the new life is known; a container that came to serve does not count as a crash loop.
      this.#state = countCrash(this.#state, worker.ageMs, nowMs);
    }
  }

  view(nowMs: number): CrashView {
    return crashView(this.#state, nowMs);
  }
}
