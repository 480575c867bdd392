/** More than ACS ever sends within the time a duplicate can be late. */
const LIMIT = 128;

/** Ids of the events that were applied last, bounded, oldest first; part of the checkpoint so that a new owner knows them too. */
export class RecentEvents {
  readonly #ids = new Set<string>();

  /** False when the id was there already. */
  remember(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > LIMIT) {
      const [oldest] = this.#ids;
      if (oldest !== undefined) this.#ids.delete(oldest);
    }
    return true;
  }

  add(ids: readonly string[]): void {
    for (const id of ids) this.remember(id);
  }

  ids(): string[] {
    return [...this.#ids];
  }
}
