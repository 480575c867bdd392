import type { Activity } from '../../media/ports.ts';
import type { VoiceMetrics } from '../metrics.ts';
import type { VoiceBackend, VoiceSession, VoiceSessionOptions } from '../ports.ts';

const TONE_MS = 200;
const TONE_HERTZ = 440;
const TONE_AMPLITUDE = 8_000;
const MAX_KEYS = 64;

/** For load: keys up to `#` are a caller's turn, the answer is a short tone. Speech is found but means nothing. */
export class EchoBackend implements VoiceBackend {
  readonly name = 'echo';
  readonly turnTaking = 'worker';
  readonly #metrics: VoiceMetrics;
  readonly #tones = new Map<number, Int16Array>();

  constructor(metrics: VoiceMetrics) {
    this.#metrics = metrics;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  open(options: VoiceSessionOptions): VoiceSession {
    return new EchoSession(options, this.#tone(options.sampleRateHertz), this.#metrics);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #tone(sampleRateHertz: number): Int16Array {
    let tone = this.#tones.get(sampleRateHertz);
    if (!tone) {
      const samples = (sampleRateHertz * TONE_MS) / 1000;
      tone = Int16Array.from({ length: samples }, (_, i) =>
        Math.round(TONE_AMPLITUDE * Math.sin((2 * Math.PI * TONE_HERTZ * i) / sampleRateHertz)),
      );
      this.#tones.set(sampleRateHertz, tone);
    }
    return tone;
  }
}

class EchoSession implements VoiceSession {
  readonly #options: VoiceSessionOptions;
  readonly #tone: Int16Array;
  readonly #metrics: VoiceMetrics;
  #keys = '';
  #turns: number;
  #announcements = 0;

  constructor(options: VoiceSessionOptions, tone: Int16Array, metrics: VoiceMetrics) {
    this.#options = options;
    this.#tone = tone;
    this.#metrics = metrics;
    this.#turns = (options.resume?.dialogue as { turns?: number } | null | undefined)?.turns ?? 0;
  }

  start(): void {
    // The caller begins.
  }

  hear(_pcm: Int16Array, activity: Activity): void {
    if (activity === 'end') this.#metrics.utterances.inc({ result: 'ignored' });
  }

  dtmf(tone: string): void {
    if (tone !== '#') {
      if (this.#keys.length < MAX_KEYS) this.#keys += tone;
      return;
    }
    const text = this.#keys;
    this.#keys = '';
    if (text === '') return;
    this.#turns += 1;
    const { listener } = this.#options;
    listener.onCallerTurn({ text, source: 'dtmf' });
    const answer = { answerId: `echo-${this.#turns}`, text: `echo ${text}` };
    listener.onAnswerStarted(answer);
    listener.onAudio(answer.answerId, this.#tone);
    listener.onAnswerEnded(answer);
  }

  interrupted(): void {
    // A tone that was cut off needs no repeat.
  }

  snapshot(): unknown {
    return { turns: this.#turns };
  }

  announce(text: string): Promise<void> {
    this.#announcements += 1;
    const answerId = `notice-${this.#announcements}`;
    this.#options.listener.onAudio(answerId, this.#tone);
    this.#options.listener.onAnswerEnded({ answerId, text });
    return Promise.resolve();
  }

  close(): void {
    this.#keys = '';
  }
}
