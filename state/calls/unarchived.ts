import type { OutboxEntry } from '../ports.ts';

interface Held {
  /** Undefined once memory was short: Redis alone has it then. */
  entry: OutboxEntry | undefined;
  stored: boolean;
  /** The archive refuses it for good: nobody waits for it, but an emptied Redis needs it again. */
  quarantined: boolean;
  size: number;
}

/**
 * Records that Cosmos DB has not confirmed, oldest first, with whether Redis has them. When Cosmos is away for long and the bound is
 * reached, the oldest that Redis has are let go by memory; what Redis has not is never let go.
 */
export class Unarchived {
  readonly #maxCharacters: number;
  readonly #entries = new Map<string, Held>();
  #characters = 0;

  /** What a claim found in the outbox and in the quarantine. */
  constructor(stored: { pending: readonly OutboxEntry[]; quarantined: readonly OutboxEntry[] }, maxCharacters: number) {
    this.#maxCharacters = maxCharacters;
    // An entry that stands in both was written again after its quarantine: it is tried once more.
    for (const entry of stored.quarantined) this.#put(entry, true);
    this.quarantined(stored.quarantined.map(({ id }) => id));
    for (const entry of stored.pending) this.#put(entry, true);
    this.#letGo();
  }

  /** Those that may still be confirmed. */
  get size(): number {
    return this.ids().length;
  }

  has(id: string): boolean {
    return this.#entries.has(id);
  }

  ids(): string[] {
    return [...this.#entries].flatMap(([id, { quarantined }]) => (quarantined ? [] : [id]));
  }

  add(entry: OutboxEntry): void {
    this.#put(entry, false);
    this.#letGo();
  }

  all(): OutboxEntry[] {
    return this.#select(() => true);
  }

  unstored(): OutboxEntry[] {
    return this.#select(({ stored }) => !stored);
  }

  stored(ids: readonly string[]): void {
    for (const id of ids) {
      const found = this.#entries.get(id);
      if (found) found.stored = true;
    }
  }

  quarantined(ids: readonly string[]): void {
    for (const id of ids) {
      const found = this.#entries.get(id);
      if (found) found.quarantined = true;
    }
  }

  remove(ids: readonly string[]): void {
    for (const id of ids) {
      this.#characters -= this.#entries.get(id)?.size ?? 0;
      this.#entries.delete(id);
    }
  }

  #put(entry: OutboxEntry, stored: boolean): void {
    this.remove([entry.id]);
    const size = JSON.stringify(entry.body).length;
    this.#entries.set(entry.id, { entry, stored, quarantined: false, size });
    this.#characters += size;
  }

  #letGo(): void {
    if (this.#characters <= this.#maxCharacters) return;
    for (const held of this.#entries.values()) {
      if (!held.stored || !held.entry) continue;
      held.entry = undefined;
      this.#characters -= held.size;
      held.size = 0;
      if (this.#characters <= this.#maxCharacters) return;
    }
  }

  #select(wanted: (held: Held) => boolean): OutboxEntry[] {
    return [...this.#entries.values()].flatMap((held) => (held.entry && wanted(held) ? [held.entry] : []));
  }
}
