import type { Timer } from '../../../platform/clock.ts';
import type { Activity } from '../../media/ports.ts';
import type { DialogueEngine, DialogueInput, DialogueStep } from '../dialogue/engine.ts';
import { type DialogueState, dialogueStateSchema, newDialogueState } from '../dialogue/state.ts';
import type { VoiceMetrics } from '../metrics.ts';
import type { VoiceAction, VoiceSession, VoiceSessionOptions } from '../ports.ts';
import type { Speech } from './backend.ts';
import type { Utterance } from './recogniser.ts';
import { Resampler } from './resampler.ts';
import { sentencesOf } from './sentences.ts';

/** Keys belong together while the next comes within this time; `#` ends them at once. */
const KEY_PAUSE_MS = 1_500;
const MAX_KEYS = 32;
const RECOGNISER_HERTZ = 16_000;

/** One call's conversation as a cascade: recognise, decide by the dialogue, speak sentence by sentence. */
export class OfflineSession implements VoiceSession {
  readonly #options: VoiceSessionOptions;
  readonly #engine: DialogueEngine;
  readonly #speech: Speech;
  readonly #metrics: VoiceMetrics;
  readonly #resampler: Resampler | undefined;
  #state: DialogueState;
  #utterance: Utterance | undefined;
  #utteranceEndedMs = 0;
  #keys = '';
  #keyTimer: Timer | undefined;
  #silenceTimer: Timer | undefined;
  #answers = 0;
  /** The answer whose audio is being made; another number means that it was cancelled. */
  #speaking = 0;
  #closed = false;

  constructor(options: VoiceSessionOptions, parts: { engine: DialogueEngine; speech: Speech; metrics: VoiceMetrics }) {
    this.#options = options;
    this.#engine = parts.engine;
    this.#speech = parts.speech;
    this.#metrics = parts.metrics;
    this.#state = restored(options.resume?.dialogue);
    this.#resampler =
      options.sampleRateHertz === RECOGNISER_HERTZ
        ? undefined
        : new Resampler(options.sampleRateHertz, RECOGNISER_HERTZ);
    // Ids stay new over a takeover: the media stream has seen those of the earlier owner.
    this.#answers = options.resume?.history.length ?? 0;
  }

  start(): void {
    this.#step(this.#options.resume ? { kind: 'resumed' } : { kind: 'start' });
  }

  hear(pcm: Int16Array, activity: Activity): void {
    if (this.#closed || activity === 'silence') return;
    if (activity === 'start') this.#beginUtterance();
    this.#utterance?.hear(this.#resampler ? this.#resampler.push(pcm) : pcm);
    if (activity !== 'end') return;
    this.#utteranceEndedMs = this.#speech.clock.monotonicMs();
    this.#utterance?.end();
  }

  dtmf(tone: string): void {
    if (this.#closed) return;
    this.#hushed();
    this.#keyTimer?.cancel();
    if (tone !== '#' && this.#keys.length < MAX_KEYS) this.#keys += tone;
    if (tone === '#' || this.#engine.keysComplete(this.#state, this.#keys)) this.#enterKeys();
    else this.#keyTimer = this.#speech.clock.after(KEY_PAUSE_MS, () => this.#enterKeys());
  }

  interrupted(_answerId: string, playedMs: number): void {
    this.#speaking = 0;
    this.#step({ kind: 'interrupted', heardMs: playedMs });
  }

  snapshot(): unknown {
    return this.#state;
  }

  async announce(text: string): Promise<void> {
    const answerId = this.#nextAnswerId();
    for (const sentence of sentencesOf(text)) {
      const pcm = await this.#speech.say(sentence, this.#options.sampleRateHertz);
      if (!this.#closed) this.#options.listener.onAudio(answerId, pcm);
    }
    if (!this.#closed) this.#options.listener.onAnswerEnded({ answerId, text });
  }

  close(): void {
    this.#closed = true;
    this.#speaking = 0;
    this.#utterance?.cancel();
    this.#keyTimer?.cancel();
    this.#silenceTimer?.cancel();
  }

  #beginUtterance(): void {
    this.#hushed();
    this.#utterance?.cancel();
    const utterance = this.#speech.recogniser.begin({
      onPartial: (text) => {
        if (!this.#closed) this.#options.listener.onPartial(text);
      },
      onFinal: (text) => this.#understood(text),
      onFailed: (error) => {
        if (this.#closed) return;
        this.#options.listener.onError(error);
        this.#step({ kind: 'unheard' });
      },
    });
    this.#utterance = utterance;
  }

  #understood(text: string): void {
    this.#utterance = undefined;
    if (this.#closed) return;
    this.#metrics.recognitionSeconds.observe((this.#speech.clock.monotonicMs() - this.#utteranceEndedMs) / 1000);
    // A cough is no turn; the silence prompt comes when nothing else does.
    if (text === '') {
      this.#armSilence();
      return;
    }
    this.#options.listener.onCallerTurn({ text, source: 'speech' });
    this.#step({ kind: 'words', text });
  }

  #enterKeys(): void {
    const keys = this.#keys;
    this.#keys = '';
    this.#keyTimer?.cancel();
    if (keys === '' || this.#closed) return;
    this.#utteranceEndedMs = this.#speech.clock.monotonicMs();
    this.#options.listener.onCallerTurn({ text: keys, source: 'dtmf' });
    this.#step({ kind: 'keys', keys });
  }

  #step(input: DialogueInput): void {
    const step = this.#engine.step(this.#state, input);
    this.#state = step.state;
    if (step.outcome !== 'none') this.#metrics.dialogueSteps.inc({ outcome: step.outcome });
    if (step.answer) void this.#answer(step.answer);
    else this.#armSilence();
  }

  async #answer(answer: NonNullable<DialogueStep['answer']>): Promise<void> {
    const answerId = this.#nextAnswerId();
    const number = this.#answers;
    const { listener, sampleRateHertz } = this.#options;
    this.#speaking = number;
    this.#silenceTimer?.cancel();
    listener.onAnswerStarted({ answerId, text: answer.text });
    let audioMs = 0;
    try {
      for (const [index, sentence] of sentencesOf(answer.text).entries()) {
        const pcm = await this.#speech.say(sentence, sampleRateHertz);
        if (this.#speaking !== number) return;
        if (index === 0)
          this.#metrics.firstAudioSeconds.observe((this.#speech.clock.monotonicMs() - this.#utteranceEndedMs) / 1000);
        audioMs += (pcm.length / sampleRateHertz) * 1000;
        listener.onAudio(answerId, pcm);
      }
    } catch (error) {
      if (this.#closed) return;
      listener.onError(error);
    }
    if (this.#speaking !== number) return;
    const action = answer.action as VoiceAction | undefined;
    listener.onAnswerEnded(action ? { answerId, text: answer.text, action } : { answerId, text: answer.text });
    this.#armSilence(audioMs);
  }

  #nextAnswerId(): string {
    this.#answers += 1;
    return `answer-${this.#answers}`;
  }

  /** The caller does something: no prompt is due. */
  #hushed(): void {
    this.#silenceTimer?.cancel();
  }

  #armSilence(audioMs = 0): void {
    this.#silenceTimer?.cancel();
    if (this.#closed) return;
    this.#silenceTimer = this.#speech.clock.after(audioMs + this.#engine.silenceLimitMs(this.#state), () => {
      if (!this.#closed && !this.#utterance && this.#keys === '') this.#step({ kind: 'silence' });
    });
  }
}

/** A snapshot of another release that cannot be read begins anew: the caller is asked again, which is better than silence. */
function restored(snapshot: unknown): DialogueState {
  const parsed = dialogueStateSchema.safeParse(snapshot);
  return parsed.success ? (parsed.data as DialogueState) : newDialogueState();
}
