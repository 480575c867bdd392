import type { Activity } from './ports.ts';
import { framesOf, type MediaSettings } from './settings.ts';

export type TurnSettings = Pick<
  MediaSettings,
  'startSpeechMs' | 'startWindowMs' | 'hangOverMs' | 'minUtteranceMs' | 'maxUtteranceMs'
>;

/**
 * Turns a yes or no per frame into utterances. One starts when enough frames of a short window hold speech and ends after a hang-over
 * of silence, or by force at its greatest length. Pure: its time is the count of frames.
 */
export class TurnDetector {
  readonly #startFrames: number;
  readonly #windowMask: number;
  readonly #hangOverFrames: number;
  readonly #minFrames: number;
  readonly #maxFrames: number;
  /** One bit per frame of the window, the newest lowest. */
  #window = 0;
  #speaking = false;
  #length = 0;
  #silence = 0;
  #sinceFirstSpeech = 0;

  constructor(settings: TurnSettings) {
    this.#startFrames = framesOf(settings.startSpeechMs);
    this.#windowMask = 2 ** framesOf(settings.startWindowMs) - 1;
    this.#hangOverFrames = framesOf(settings.hangOverMs);
    this.#minFrames = framesOf(settings.minUtteranceMs);
    this.#maxFrames = framesOf(settings.maxUtteranceMs);
  }

  /** What this frame is. After `start`, `sinceFirstSpeech` tells how many frames ago the speech began. */
  push(speech: boolean): Activity {
    return this.#speaking ? this.#within(speech) : this.#outside(speech);
  }

  get sinceFirstSpeech(): number {
    return this.#sinceFirstSpeech;
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  #outside(speech: boolean): Activity {
    this.#window = ((this.#window << 1) | (speech ? 1 : 0)) & this.#windowMask;
    if (!speech || bitCount(this.#window) < this.#startFrames) return 'silence';
    this.#sinceFirstSpeech = 31 - Math.clz32(this.#window);
    this.#length = this.#sinceFirstSpeech + 1;
    this.#speaking = true;
    this.#silence = 0;
    this.#window = 0;
    return 'start';
  }

  #within(speech: boolean): Activity {
    this.#length++;
    this.#silence = speech ? 0 : this.#silence + 1;
    const silent = this.#silence >= this.#hangOverFrames && this.#length >= this.#minFrames;
    if (!silent && this.#length < this.#maxFrames) return 'speech';
    this.#speaking = false;
    return 'end';
  }
}

function bitCount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
