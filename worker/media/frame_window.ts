/**
 * The newest frames of one call, decoded straight into a ring of fixed slots. Frames are held until it is known whether they
 * belong to an utterance; the slot behind the newest frame is always free to be written.
 */
export class FrameWindow {
  readonly bytes: Buffer;
  readonly #slots: Int16Array[];
  readonly #frameBytes: number;
  #write = 0;
  #held = 0;

  constructor(frames: number, frameBytes: number) {
    const slots = frames + 1;
    this.bytes = Buffer.allocUnsafeSlow(slots * frameBytes);
    this.#frameBytes = frameBytes;
    this.#slots = Array.from(
      { length: slots },
      (_, i) => new Int16Array(this.bytes.buffer, i * frameBytes, frameBytes / 2),
    );
  }

  /** Where in `bytes` the next frame belongs. */
  get writeOffset(): number {
    return this.#write * this.#frameBytes;
  }

  /** The slot that `writeOffset` names. */
  get next(): Int16Array {
    return this.#slots[this.#write] as Int16Array;
  }

  get held(): number {
    return this.#held;
  }

  get full(): boolean {
    return this.#held === this.#slots.length - 1;
  }

  /** Keeps the frame just written. There must be room: `shift` when full. */
  keep(): void {
    this.#held++;
    this.#write = this.#write + 1 === this.#slots.length ? 0 : this.#write + 1;
  }

  /** Takes the oldest frame out; its samples stay valid until the next `keep`. */
  shift(): Int16Array {
    const at = this.#write - this.#held;
    this.#held--;
    return this.#slots[at < 0 ? at + this.#slots.length : at] as Int16Array;
  }
}
