/** Cuts audio of other lengths into frames. ACS sends whole frames only; this keeps a service that changes its mind audible. */
export class Reframer {
  readonly #frame: Int16Array;
  #filled = 0;

  constructor(frameSamples: number) {
    this.#frame = new Int16Array(frameSamples);
  }

  /** Samples that wait for the rest of their frame. */
  get pending(): number {
    return this.#filled;
  }

  /** Calls `onFrame` for each frame that became whole; its samples are valid only during the call. */
  push(pcm: Int16Array, onFrame: (frame: Int16Array) => void): void {
    for (let at = 0; at < pcm.length; ) {
      const count = Math.min(pcm.length - at, this.#frame.length - this.#filled);
      this.#frame.set(pcm.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled < this.#frame.length) return;
      this.#filled = 0;
      onFrame(this.#frame);
    }
  }
}
