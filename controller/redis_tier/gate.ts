/** Keeps several pools on one Redis from asking for the same thing: the cooldown counts for the server, not for each pool. */
export class CooldownGate {
  #last: { by: string; atMs: number } | undefined;

  /** Takes the turn; false while the cooldown after the last one, of whichever pool, is not over. */
  take(by: string, cooldownMs: number, nowMs: number): boolean {
    if (this.leftMs(cooldownMs, nowMs) > 0) return false;
    this.hold(by, nowMs);
    return true;
  }

  /** A request of before this controller still holds: its whole cooldown begins again. */
  hold(by: string, nowMs: number): void {
    this.#last = { by, atMs: nowMs };
  }

  /** The turn was taken and nothing was sent. */
  giveBack(by: string): void {
    if (this.#last?.by === by) this.#last = undefined;
  }

  leftMs(cooldownMs: number, nowMs: number): number {
    return this.#last ? Math.max(0, this.#last.atMs + cooldownMs - nowMs) : 0;
  }

  /** Which pool asked last. */
  get by(): string | undefined {
    return this.#last?.by;
  }
}
