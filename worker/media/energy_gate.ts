/** Mean squares of 16-bit samples. Below an RMS of 30 (-61 dBFS) nobody speaks on a telephone line. */
const QUIETEST = 30 ** 2;
const LOWEST_FLOOR = 10 ** 2;
/** However noisy the line, a frame above an RMS of 870 always reaches the detector. */
const HIGHEST_FLOOR = 500 ** 2;
/** Speech must stand 4.8 dB over the noise to be worth the detector's microseconds. */
const OVER_FLOOR = 3;
const FALL = 0.25;
/** Per frame: doubles in 0.3 s of noise, in 14 s of speech, whose pauses pull it down again. */
const RISE = 1.05;
const RISE_IN_SPEECH = 1.001;

/** Keeps frames without any chance of speech away from the detector, by their energy over a noise floor that adapts to the line. */
export class EnergyGate {
  #floor = LOWEST_FLOOR;
  #level = 0;

  /** Whether the frame is loud enough to ask the detector; `learn` must follow. */
  passes(pcm: Int16Array): boolean {
    this.#level = meanSquare(pcm);
    return this.#level > QUIETEST && this.#level > this.#floor * OVER_FLOOR;
  }

  /** Takes the frame just judged into the noise floor. */
  learn(speech: boolean): void {
    const level = this.#level;
    if (level < this.#floor) this.#floor = Math.max(LOWEST_FLOOR, this.#floor + (level - this.#floor) * FALL);
    else this.#floor = Math.min(level, HIGHEST_FLOOR, this.#floor * (speech ? RISE_IN_SPEECH : RISE));
  }
}

/** Of every second sample: half the price, and speech has no energy that would hide between them. */
export function meanSquare(pcm: Int16Array): number {
  let even = 0;
  let odd = 0;
  const end = pcm.length - 3;
  for (let i = 0; i < end; i += 4) {
    const a = pcm[i] as number;
    const b = pcm[i + 2] as number;
    even += a * a;
    odd += b * b;
  }
  return (even + odd) / Math.max(1, pcm.length >> 1);
}
