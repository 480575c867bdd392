import type { Timer } from '../../../platform/clock.ts';
import type { Activity } from '../../media/ports.ts';
import type { DialogueEngine, DialogueInput, DialogueStep } from '../dialogue/engine.ts';
import { type DialogueState, dialogueStateSchema, newDialogueState } from '../dialogue/state.ts';
import type { VoiceMetrics } from '../metrics.ts';
import type { VoiceAction, VoiceSession, VoiceSessionOptions } from '../ports.ts';
import type { Speech } from './backend.ts';
import { Hearing } from './hearing.ts';
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
  readonly #hearing: Hearing;
  #keys = '';
  #keysEnteredMs = Number.NEGATIVE_INFINITY;
  #keyTimer: Timer | undefined;
  #silenceTimer: Timer | undefined;
  #answers = 0;
  /** The answer whose audio is being made; another number means that it was cancelled. */
  #speaking = 0;
  /** What was handed over has been heard by then, if nothing held it up. */
  #audibleUntilMs = 0;
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
    this.#hearing = new Hearing(parts.speech.recogniser, parts.speech.clock, {
      onPartial: (text) => options.listener.onPartial(text),
      onTurn: (text, endedAtMs) => this.#understood(text, endedAtMs),
      onError: (error) => options.listener.onError(error),
      onUnheard: () => this.#step({ kind: 'unheard' }),
    });
    // Ids stay new over a takeover: the media stream has seen those of the earlier owner.
    this.#answers = options.resume?.history.length ?? 0;
  }

  start(): void {
    this.#step(
      this.#options.resume ? { kind: 'resumed' } : { kind: 'start', calledBefore: this.#options.calledBefore },
    );
  }

  hear(pcm: Int16Array, activity: Activity): void {
    if (this.#closed || activity === 'silence') return;
    if (activity === 'start') {
      this.#hushed();
      this.#hearing.start();
    }
    this.#hearing.hear(this.#resampler ? this.#resampler.push(pcm) : pcm);
    if (activity === 'end') this.#hearing.end();
  }

  dtmf(tone: string): void {
    if (this.#closed) return;
    if (tone === '#' && this.#keys === '') this.#loneEndKey();
    else this.#key(tone);
  }

  interrupted(_answerId: string, playedMs: number): void {
    this.#speaking = 0;
    this.#audibleUntilMs = 0;
    this.#step({ kind: 'interrupted', heardMs: playedMs });
  }

  snapshot(): unknown {
    return this.#state;
  }

  async announce(text: string): Promise<void> {
    // An answer that nobody has heard yet must not follow the notice.
    this.#hushed();
    const answerId = this.#nextAnswerId();
    for (const sentence of sentencesOf(text)) {
      const pcm = await this.#speech.say(sentence, this.#options.sampleRateHertz);
      if (!this.#closed) this.#handOver(answerId, pcm);
    }
    if (this.#closed) return;
    this.#options.listener.onAnswerEnded({ answerId, text });
    this.#armSilence();
  }

  close(): void {
    this.#closed = true;
    this.#speaking = 0;
    this.#hearing.close();
    this.#keyTimer?.cancel();
    this.#silenceTimer?.cancel();
  }

  #understood(text: string, endedAtMs: number): void {
    if (this.#closed) return;
    this.#metrics.recognitionSeconds.observe((this.#speech.clock.monotonicMs() - endedAtMs) / 1000);
    // A cough is no turn; the silence prompt comes when nothing else does.
    if (text === '') {
      this.#armSilence();
      return;
    }
    this.#options.listener.onCallerTurn({ text, source: 'speech' });
    this.#step({ kind: 'words', text }, endedAtMs);
  }

  #key(tone: string): void {
    this.#hushed();
    this.#keyTimer?.cancel();
    if (tone !== '#' && this.#keys.length < MAX_KEYS) this.#keys += tone;
    if (tone === '#' || this.#engine.keysComplete(this.#state, this.#keys)) this.#enterKeys();
    else this.#keyTimer = this.#speech.clock.after(KEY_PAUSE_MS, () => this.#enterKeys());
  }

  #enterKeys(): void {
    const keys = this.#keys;
    this.#keys = '';
    this.#keyTimer?.cancel();
    if (keys === '' || this.#closed) return;
    this.#keysEnteredMs = this.#speech.clock.monotonicMs();
    this.#options.listener.onCallerTurn({ text: keys, source: 'dtmf' });
    this.#step({ kind: 'keys', keys }, this.#keysEnteredMs);
  }

  /** "4711#" where four keys were enough: the answer has begun, and the `#` has cut it off if it was heard already. It is due at once. */
  #loneEndKey(): void {
    if (this.#speaking !== 0) return;
    const isLate = this.#speech.clock.monotonicMs() - this.#keysEnteredMs <= KEY_PAUSE_MS;
    if (isLate && this.#state.last?.cut && !this.#hearing.open) this.#step({ kind: 'silence' });
    else this.#armSilence();
  }

  /** `turnEndedMs`: when the caller fell silent, if this is an answer to the caller. */
  #step(input: DialogueInput, turnEndedMs?: number): void {
    const step = this.#engine.step(this.#state, input);
    this.#state = step.state;
    if (step.outcome !== 'none') this.#metrics.dialogueSteps.inc({ outcome: step.outcome });
    if (step.answer) void this.#answer(step.answer, turnEndedMs);
    else this.#armSilence();
  }

  async #answer(answer: NonNullable<DialogueStep['answer']>, turnEndedMs: number | undefined): Promise<void> {
    const answerId = this.#nextAnswerId();
    const number = this.#answers;
    const { listener, sampleRateHertz } = this.#options;
    const { clock } = this.#speech;
    this.#speaking = number;
    this.#silenceTimer?.cancel();
    listener.onAnswerStarted({ answerId, text: answer.text });
    let firstAudioSinceMs = turnEndedMs;
    try {
      for (const sentence of sentencesOf(answer.text)) {
        const pcm = await this.#speech.say(sentence, sampleRateHertz);
        if (this.#speaking !== number) return;
        if (firstAudioSinceMs !== undefined)
          this.#metrics.firstAudioSeconds.observe((clock.monotonicMs() - firstAudioSinceMs) / 1000);
        firstAudioSinceMs = undefined;
        this.#handOver(answerId, pcm);
      }
    } catch (error) {
      if (this.#speaking !== number) return;
      listener.onError(error);
      // What could not be spoken is said again when the caller waits.
      this.#state = this.#engine.step(this.#state, { kind: 'interrupted', heardMs: 0 }).state;
    }
    if (this.#speaking !== number) return;
    this.#speaking = 0;
    const action = answer.action as VoiceAction | undefined;
    listener.onAnswerEnded(action ? { answerId, text: answer.text, action } : { answerId, text: answer.text });
    this.#armSilence();
  }

  #handOver(answerId: string, pcm: Int16Array): void {
    const nowMs = this.#speech.clock.monotonicMs();
    const durationMs = (pcm.length / this.#options.sampleRateHertz) * 1000;
    this.#audibleUntilMs = Math.max(nowMs, this.#audibleUntilMs) + durationMs;
    this.#options.listener.onAudio(answerId, pcm);
  }

  #nextAnswerId(): string {
    this.#answers += 1;
    return `answer-${this.#answers}`;
  }

  /** The caller does something: no prompt is due, and an answer of which nothing is audible yet would be spoken into it. */
  #hushed(): void {
    if (this.#speaking !== 0) this.interrupted('', 0);
    this.#silenceTimer?.cancel();
  }

  #armSilence(): void {
    this.#silenceTimer?.cancel();
    if (this.#closed) return;
    const audibleMs = Math.max(0, this.#audibleUntilMs - this.#speech.clock.monotonicMs());
    this.#silenceTimer = this.#speech.clock.after(audibleMs + this.#engine.silenceLimitMs(this.#state), () => {
      if (!this.#closed && !this.#hearing.open && this.#keys === '') this.#step({ kind: 'silence' });
    });
  }
}

/** A snapshot of another release that cannot be read begins anew: the caller is asked again, which is better than silence. */
function restored(snapshot: unknown): DialogueState {
  const parsed = dialogueStateSchema.safeParse(snapshot);
  return parsed.success ? (parsed.data as DialogueState) : newDialogueState();
}
