import { readFile } from 'node:fs/promises';
import type { SpeechStep } from '../caller/script.ts';
import { encodeFrames, type Frame, type SampleRate } from '../media/frames.ts';
import type { Flite } from './flite.ts';
import { to24kHertz } from './resample.ts';
import { readWav } from './wav.ts';

/** What a caller says, ready to be sent. */
export interface Utterance {
  text: string;
  frames: readonly Frame[];
  /** Index of the first and of the last frame that is not silent; -1 when all are. */
  firstAudible: number;
  lastAudible: number;
}

const MAX_KEPT = 256;

/** Turns speech steps into frames; the same text is encoded once for all calls. */
export class SpeechLibrary {
  readonly #flite: Flite;
  readonly #kept = new Map<string, Promise<Utterance>>();

  constructor(flite: Flite) {
    this.#flite = flite;
  }

  utterance(step: SpeechStep, rate: SampleRate): Promise<Utterance> {
    const { text, wav, voice } = step;
    const key =
      text === undefined && wav === undefined ? undefined : `${rate}\n${voice ?? ''}\n${wav ?? ''}\n${text ?? ''}`;
    const known = key === undefined ? undefined : this.#kept.get(key);
    if (known) return known;
    const made = this.#make(step, rate);
    if (key !== undefined) {
      const [oldest] = this.#kept.keys();
      if (this.#kept.size >= MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
      this.#kept.set(key, made);
      made.catch(() => this.#kept.delete(key));
    }
    return made;
  }

  async #make(step: SpeechStep, rate: SampleRate): Promise<Utterance> {
    const pcm16k = await this.#samples(step);
    const frames = encodeFrames(rate === 24_000 ? to24kHertz(pcm16k) : pcm16k, rate);
    return {
      text: step.as ?? step.text ?? '',
      frames,
      firstAudible: frames.findIndex(({ silent }) => !silent),
      lastAudible: frames.findLastIndex(({ silent }) => !silent),
    };
  }

  async #samples({ text, wav, pcm, voice }: SpeechStep): Promise<Int16Array> {
    if (pcm) return pcm;
    if (wav !== undefined) return readWav(await readFile(wav));
    return this.#flite.speak(text ?? '', voice);
  }
}
