/** Message ids of the last while: a message that comes again within it is accepted and dropped. */
export class DuplicateWindow {
  readonly #windowMs: number;
  readonly #seen = new Map<string, number>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** True when the id was there already; the window counts from its first message. */
  repeats(id: unknown, nowMs: number): boolean {
    if (this.#windowMs === 0 || id === undefined || id === null) return false;
    // In the order of arrival, so the oldest stand first.
    for (const [old, atMs] of this.#seen) {
      if (nowMs - atMs <= this.#windowMs) break;
      this.#seen.delete(old);
    }
    const key = String(id);
    if (this.#seen.has(key)) return true;
    this.#seen.set(key, nowMs);
    return false;
  }
}
