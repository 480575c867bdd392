const SMALLEST_FRAMES = 16;

/**
 * Audio that waits to be sent: a ring of samples that takes chunks of any length and gives whole frames. It grows by doubling up to
 * its bound and goes back to nothing once it is empty, so that a silent call holds no audio memory.
 */
export class AudioQueue {
  readonly #frameSamples: number;
  readonly #maxFrames: number;
  #samples = new Int16Array(0);
  #bytes = Buffer.alloc(0);
  #read = 0;
  #count = 0;

  constructor(frameSamples: number, maxFrames: number) {
    this.#frameSamples = frameSamples;
    this.#maxFrames = maxFrames;
  }

  /** Whole frames that can be taken. */
  get frames(): number {
    return Math.floor(this.#count / this.#frameSamples);
  }

  /** Copies what fits; returns the samples taken. The rest is refused: what is queued already is what is to be heard first. */
  write(pcm: Int16Array): number {
    const taken = Math.min(pcm.length, this.#maxFrames * this.#frameSamples - this.#count);
    if (taken <= 0) return 0;
    this.#reserve(this.#count + taken);
    const at = (this.#read + this.#count) % this.#samples.length;
    const first = Math.min(taken, this.#samples.length - at);
    if (first === pcm.length) this.#samples.set(pcm, at);
    else {
      this.#samples.set(pcm.subarray(0, first), at);
      this.#samples.set(pcm.subarray(first, taken), 0);
    }
    this.#count += taken;
    return taken;
  }

  /** Completes a partial last frame with silence. */
  pad(): void {
    const partial = this.#count % this.#frameSamples;
    if (partial === 0) return;
    // the capacity is a whole number of frames and reads go by frames, so the rest of a frame never wraps
    const at = (this.#read + this.#count) % this.#samples.length;
    this.#samples.fill(0, at, at + this.#frameSamples - partial);
    this.#count += this.#frameSamples - partial;
  }

  /** The memory that `take` gives offsets into; replaced when the queue grows. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Byte offset of the oldest frame, which leaves the queue and stays valid until the next `write` or `release`. There must be one. */
  take(): number {
    const at = this.#read;
    this.#read = at + this.#frameSamples === this.#samples.length ? 0 : at + this.#frameSamples;
    this.#count -= this.#frameSamples;
    return at * 2;
  }

  /** Drops everything and gives the memory back. */
  release(): void {
    this.#samples = new Int16Array(0);
    this.#bytes = Buffer.alloc(0);
    this.#read = 0;
    this.#count = 0;
  }

  #reserve(samples: number): void {
    if (samples <= this.#samples.length) return;
    let frames = Math.max(SMALLEST_FRAMES, this.#samples.length / this.#frameSamples);
    while (frames * this.#frameSamples < samples) frames *= 2;
    const bytes = Buffer.allocUnsafeSlow(Math.min(frames, this.#maxFrames) * this.#frameSamples * 2);
    const grown = new Int16Array(bytes.buffer);
    const first = Math.min(this.#count, this.#samples.length - this.#read);
    grown.set(this.#samples.subarray(this.#read, this.#read + first), 0);
    grown.set(this.#samples.subarray(0, this.#count - first), first);
    this.#samples = grown;
    this.#bytes = bytes;
    this.#read = 0;
  }
}
