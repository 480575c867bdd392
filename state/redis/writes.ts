import type { Writable } from 'node:stream';

/** Commands that are sent in one turn leave in one write: each write of its own costs more than what is in it. */
export class Gathering {
  readonly #corked = new Set<Writable>();

  hold(stream: Writable | undefined): void {
    if (!stream || this.#corked.has(stream)) return;
    this.#corked.add(stream);
    stream.cork();
    process.nextTick(() => {
      this.#corked.delete(stream);
      stream.uncork();
    });
  }
}
