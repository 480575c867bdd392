/** Zero crossings of the filter on each side: steep enough that what would alias into the speech band is 60 dB down. */
const CROSSINGS = 16;
/** Share of the narrower band that passes; the rest is the filter's slope. */
const PASS = 0.92;

/**
 * Changes the sample rate of a stream of 16-bit mono PCM by a ratio of small whole numbers: a polyphase low-pass (sinc with a
 * Blackman window; see Oppenheim and Schafer, Discrete-Time Signal Processing, 4.6). Keeps its history, so chunks of any length join without a click.
 */
export class Resampler {
  readonly #up: number;
  readonly #down: number;
  /** One filter per phase, newest sample first. */
  readonly #phases: Float64Array[];
  readonly #taps: number;
  #history: Float64Array;
  /** Position of the next output sample, in input samples times `up`, from the start of the new input. */
  #position = 0;

  constructor(fromHertz: number, toHertz: number) {
    const divisor = gcd(fromHertz, toHertz);
    this.#up = toHertz / divisor;
    this.#down = fromHertz / divisor;
    this.#phases = this.#up === this.#down ? [] : phases(this.#up, this.#down);
    this.#taps = this.#phases[0]?.length ?? 0;
    this.#history = new Float64Array(Math.max(0, this.#taps - 1));
  }

  /** The next part of the stream; the input is only read. */
  push(pcm: Int16Array): Int16Array {
    if (this.#up === this.#down) return pcm.slice();
    const past = this.#taps - 1;
    const input = new Float64Array(past + pcm.length);
    input.set(this.#history);
    for (let i = 0; i < pcm.length; i++) input[past + i] = pcm[i] ?? 0;
    const end = pcm.length * this.#up;
    const output = new Int16Array(Math.max(0, Math.ceil((end - this.#position) / this.#down)));
    let position = this.#position;
    for (let i = 0; i < output.length; i++, position += this.#down) {
      output[i] = this.#at(input, past + Math.floor(position / this.#up), position % this.#up);
    }
    this.#position = position - end;
    this.#history = input.slice(input.length - past);
    return output;
  }

  /** The end of the stream: what the filter still holds, as long as its delay. */
  flush(): Int16Array {
    return this.#up === this.#down ? new Int16Array(0) : this.push(new Int16Array(this.#taps >> 1));
  }

  #at(input: Float64Array, newest: number, phase: number): number {
    const filter = this.#phases[phase] as Float64Array;
    let sum = 0;
    for (let k = 0; k < filter.length; k++) sum += (filter[k] as number) * (input[newest - k] as number);
    return Math.max(-32_768, Math.min(32_767, Math.round(sum)));
  }
}

function phases(up: number, down: number): Float64Array[] {
  const widest = Math.max(up, down);
  const half = CROSSINGS * widest;
  const taps = Math.ceil((2 * half + 1) / up);
  return Array.from({ length: up }, (_, phase) => {
    const filter = Float64Array.from({ length: taps }, (_, k) =>
      coefficient(phase + k * up - half, half, PASS / widest),
    );
    // Each phase passes a constant unchanged, so that no tone of the phase rate is heard.
    const gain = filter.reduce((a, b) => a + b, 0);
    return filter.map((value) => value / gain);
  });
}

function coefficient(x: number, half: number, cutoff: number): number {
  if (Math.abs(x) > half) return 0;
  const sinc = x === 0 ? 1 : Math.sin(Math.PI * x * cutoff) / (Math.PI * x * cutoff);
  const t = (x / half) * Math.PI;
  return sinc * (0.42 + 0.5 * Math.cos(t) + 0.08 * Math.cos(2 * t));
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
