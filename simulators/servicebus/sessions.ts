import type { Consumer } from './stored.ts';

interface SessionLock {
  readonly owner: Consumer;
  untilMs: number;
}

/** Locks and states of a queue's sessions. */
export class SessionTable {
  readonly #locks = new Map<string, SessionLock>();
  readonly #states = new Map<string, Buffer>();
  /** Order of the last acceptance: who waited longest comes next. */
  readonly #accepted = new Map<string, number>();
  readonly #times = new Map<string, number>();
  #acceptances = 0;

  isLocked(sessionId: string): boolean {
    return this.#locks.has(sessionId);
  }

  ownerOf(sessionId: string): Consumer | undefined {
    return this.#locks.get(sessionId)?.owner;
  }

  lock(sessionId: string, owner: Consumer, untilMs: number): void {
    this.#locks.set(sessionId, { owner, untilMs });
    this.#accepted.set(sessionId, ++this.#acceptances);
    this.#times.set(sessionId, this.timesAccepted(sessionId) + 1);
  }

  /** False when nobody holds it. */
  renew(sessionId: string, untilMs: number): boolean {
    const lock = this.#locks.get(sessionId);
    if (lock) lock.untilMs = untilMs;
    return lock !== undefined;
  }

  /** Times that a session was accepted. */
  timesAccepted(sessionId: string): number {
    return this.#times.get(sessionId) ?? 0;
  }

  unlock(sessionId: string): void {
    this.#locks.delete(sessionId);
  }

  expired(nowMs: number): string[] {
    return [...this.#locks].filter(([, { untilMs }]) => untilMs <= nowMs).map(([id]) => id);
  }

  nextExpiryMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#locks.values()].map(({ untilMs }) => untilMs));
  }

  /** Of those that are not locked, the one whose turn was longest ago. */
  next(candidates: Iterable<string>): string | undefined {
    let best: string | undefined;
    for (const id of candidates) {
      if (this.isLocked(id)) continue;
      if (best === undefined || (this.#accepted.get(id) ?? 0) < (this.#accepted.get(best) ?? 0)) best = id;
    }
    return best;
  }

  state(sessionId: string): Buffer | undefined {
    return this.#states.get(sessionId);
  }

  setState(sessionId: string, state: Buffer | undefined): void {
    if (state) this.#states.set(sessionId, state);
    else this.#states.delete(sessionId);
  }
}
