/** Audio in memory, the least recently used goes first when the bytes exceed the bound. */
export class PhraseMemory {
  readonly #maxBytes: number;
  readonly #phrases = new Map<string, Int16Array>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Int16Array | undefined {
    const found = this.#phrases.get(key);
    if (!found) return undefined;
    // A Map keeps the order of insertion: putting it in again makes it the newest.
    this.#phrases.delete(key);
    this.#phrases.set(key, found);
    return found;
  }

  set(key: string, pcm: Int16Array): void {
    this.#bytes -= this.#phrases.get(key)?.byteLength ?? 0;
    this.#phrases.delete(key);
    if (pcm.byteLength > this.#maxBytes) return;
    this.#phrases.set(key, pcm);
    this.#bytes += pcm.byteLength;
    for (const [oldest, { byteLength }] of this.#phrases) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#phrases.delete(oldest);
      this.#bytes -= byteLength;
    }
  }
}
