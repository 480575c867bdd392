import { writeFile } from 'node:fs/promises';
import { wavBytes } from '../audio/wav.ts';
import { type SampleRate, samplesPerFrame } from './frames.ts';

/** Ten minutes; a longer call is recorded up to there. */
const MAX_FRAMES = 30_000;

/** Keeps what a caller heard, frame by frame in real time, until the call is over. */
export class WavRecorder {
  readonly #file: string;
  readonly #rate: SampleRate;
  readonly #silence: Int16Array;
  readonly #frames: Int16Array[] = [];

  constructor(file: string, rate: SampleRate) {
    this.#file = file;
    this.#rate = rate;
    this.#silence = new Int16Array(samplesPerFrame(rate));
  }

  add(pcm: Int16Array | undefined): void {
    if (this.#frames.length < MAX_FRAMES) this.#frames.push(pcm ?? this.#silence);
  }

  async write(): Promise<string> {
    await writeFile(this.#file, wavBytes(this.#frames, this.#rate));
    return this.#file;
  }
}
