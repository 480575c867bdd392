/** Keys with the time at which each is due, the soonest first: a binary heap with one entry a key. */
export class Delays {
  readonly #heap: { key: string; dueMs: number }[] = [];
  readonly #due = new Map<string, number>();

  get size(): number {
    return this.#due.size;
  }

  /** Of the soonest; undefined when there is none. */
  get nextDueMs(): number | undefined {
    this.#dropStale();
    return this.#heap[0]?.dueMs;
  }

  /** A key that is there already keeps the sooner of both times. */
  add(key: string, dueMs: number): void {
    const known = this.#due.get(key);
    if (known !== undefined && known <= dueMs) return;
    this.#due.set(key, dueMs);
    this.#heap.push({ key, dueMs });
    this.#up(this.#heap.length - 1);
  }

  remove(key: string): void {
    this.#due.delete(key);
  }

  /** Takes out every key that is due. */
  takeDue(nowMs: number): string[] {
    const keys: string[] = [];
    for (let next = this.nextDueMs; next !== undefined && next <= nowMs; next = this.nextDueMs) {
      const entry = this.#pop();
      if (!entry) break;
      this.#due.delete(entry.key);
      keys.push(entry.key);
    }
    return keys;
  }

  /** A key that was brought forward leaves its older entry behind. */
  #dropStale(): void {
    for (let first = this.#heap[0]; first && this.#due.get(first.key) !== first.dueMs; first = this.#heap[0])
      this.#pop();
  }

  #pop(): { key: string; dueMs: number } | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (last && this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#down(0);
    }
    return first;
  }

  #up(from: number): void {
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#isSooner(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(from: number): void {
    for (let at = from; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let soonest = at;
      if (this.#isSooner(left, soonest)) soonest = left;
      if (this.#isSooner(right, soonest)) soonest = right;
      if (soonest === at) return;
      this.#swap(at, soonest);
      at = soonest;
    }
  }

  #isSooner(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    return one !== undefined && other !== undefined && one.dueMs < other.dueMs;
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (!one || !other) return;
    this.#heap[a] = other;
    this.#heap[b] = one;
  }
}
