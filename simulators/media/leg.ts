import type { Clock } from '../../platform/clock.ts';
import type { Utterance } from '../audio/speech.ts';
import type { CallProgress, CallRecord, TurnRecord } from '../caller/record.ts';
import type { Waiting } from '../caller/waiting.ts';
import { audioMessage, dtmfMessage, type Frame, parseWorkerMessage, type SampleRate, silentFrame } from './frames.ts';
import { Playout } from './playout.ts';
import { FRAME_MS, type Ticker, type Ticking } from './ticker.ts';
import type { WavRecorder } from './wav_recorder.ts';

export interface MediaLegOptions {
  rate: SampleRate;
  clock: Clock;
  ticker: Ticker;
  record: CallRecord;
  /** Sends a message when a socket is open; false when it was not sent. */
  send(message: string): boolean;
  isOpen(): boolean;
  sincePlacedMs(): number;
  progress(event: CallProgress): void;
  recorder: WavRecorder | undefined;
}

/** The caller's ear and mouth in one answered call, driven by the ticker: one frame out and 20 ms heard per tick. */
export class MediaLeg implements Ticking {
  readonly #options: MediaLegOptions;
  readonly #playout: Playout;
  readonly #silent: Frame;
  readonly #ticks: (() => void)[] = [];
  #speaking: { utterance: Utterance; at: number; spoken: () => void } | undefined;
  #callerSpeaks = false;
  #stoppedWhileSpeaking = false;
  #ended = false;
  #turn: TurnRecord | undefined;
  #bargeStartMs: number | undefined;
  #spokenAtMs: number | undefined;
  #heard = false;
  #spokenInto = false;
  #lost = false;
  #lastPlayedMs: number;
  #openedAtMs: number | undefined;

  constructor(options: MediaLegOptions) {
    this.#options = options;
    this.#silent = silentFrame(options.rate);
    this.#lastPlayedMs = options.clock.monotonicMs();
    this.#playout = new Playout(options.rate, {
      onAnswerStarted: (nowMs) => this.#answerStarted(nowMs),
      onAnswerEnded: () => undefined,
      onGap: (ms) => options.record.gapsMs.push(ms),
      onPlayed: (pcm) => {
        if (pcm) this.#lastPlayedMs = options.clock.monotonicMs();
        options.recorder?.add(pcm);
      },
    });
    options.ticker.add(this);
  }

  get answering(): boolean {
    return this.#playout.answering;
  }

  tick(nowMs: number): void {
    this.#sendFrame(nowMs);
    this.#playout.tick();
    for (const resolve of this.#ticks.splice(0)) resolve();
  }

  /** After the end of the call it resolves at once, so that scripts run out. */
  nextTick(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise((resolve) => this.#ticks.push(resolve));
  }

  async wait(ms: number): Promise<void> {
    for (let left = Math.ceil(ms / FRAME_MS); left > 0; left--) await this.nextTick();
  }

  /** Resolves when the last frame has been sent. */
  speak(utterance: Utterance, turn: TurnRecord): Promise<void> {
    this.#begin(turn);
    if (this.#ended || utterance.frames.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#speaking = { utterance, at: 0, spoken: resolve };
      if (utterance.lastAudible < 0) this.#spokenAtMs = this.#options.clock.monotonicMs();
    });
  }

  async press(tones: string, toneMs: number, turn: TurnRecord, onTone: (tone: string) => void): Promise<void> {
    this.#begin(turn);
    for (const [index, tone] of [...tones].entries()) {
      if (index > 0) await this.wait(toneMs);
      if (index === 0) this.#startsToSpeak(this.#options.clock.monotonicMs());
      if (!this.#options.isOpen()) this.#lost = true;
      onTone(tone);
    }
    this.#hasSpoken(this.#options.clock.monotonicMs());
  }

  /** In band, for workers that asked for it. */
  sendTone(tone: string): void {
    this.#options.send(dtmfMessage(tone));
  }

  waiting(sinceMs: number): Waiting {
    const nowMs = this.#options.clock.monotonicMs();
    return {
      waitedMs: nowMs - sinceMs,
      heard: this.#heard,
      spokenInto: this.#spokenInto,
      silentMs: nowMs - this.#lastPlayedMs,
      lost: this.#lost,
      openMs: this.#openedAtMs === undefined ? undefined : nowMs - this.#openedAtMs,
      spokenMs: nowMs - (this.#spokenAtMs ?? nowMs),
      repeated: this.#turn?.repeated ?? 0,
    };
  }

  opened(): void {
    this.#openedAtMs = this.#options.clock.monotonicMs();
  }

  lost(): void {
    this.#openedAtMs = undefined;
    this.#lost = true;
    this.#heard = false;
    this.#spokenInto = false;
  }

  receive(data: Buffer): void {
    const { record, clock } = this.#options;
    const message = parseWorkerMessage(data);
    if (message.kind === 'malformed') {
      record.malformedMessages += 1;
    } else if (message.kind === 'stopAudio') {
      this.#stopAudio(clock.monotonicMs());
    } else {
      record.framesReceived += 1;
      if (this.#stoppedWhileSpeaking) record.framesAfterStop += 1;
      this.#playout.receive(message.pcm, clock.monotonicMs());
      record.overflowSamples = this.#playout.overflowSamples;
    }
  }

  /** The call is over: nothing is sent or heard any more. */
  end(): void {
    this.#ended = true;
    this.#options.ticker.remove(this);
    for (const resolve of this.#ticks.splice(0)) resolve();
    this.#speaking?.spoken();
    this.#speaking = undefined;
  }

  #begin(turn: TurnRecord): void {
    this.#turn = turn;
    this.#heard = false;
    this.#spokenInto = false;
    this.#spokenAtMs = undefined;
    this.#bargeStartMs = undefined;
    this.#lost = !this.#options.isOpen();
  }

  #startsToSpeak(nowMs: number): void {
    this.#callerSpeaks = true;
    if (this.#playout.answering) this.#bargeStartMs = nowMs;
  }

  #hasSpoken(nowMs: number): void {
    this.#callerSpeaks = false;
    this.#stoppedWhileSpeaking = false;
    this.#spokenAtMs = nowMs;
    this.#heard = false;
    this.#spokenInto = this.#playout.answering;
  }

  #stopAudio(nowMs: number): void {
    this.#options.record.stopAudios += 1;
    this.#options.progress({ type: 'stopAudio' });
    this.#stoppedWhileSpeaking = this.#callerSpeaks;
    this.#spokenInto = false;
    const turn = this.#turn;
    if (turn && this.#bargeStartMs !== undefined && turn.bargeInMs === undefined) {
      turn.bargeInMs = nowMs - this.#bargeStartMs;
    }
    this.#playout.stop();
  }

  #answerStarted(nowMs: number): void {
    const { record, progress } = this.#options;
    record.answersHeard += 1;
    record.firstAudioAfterMs ??= this.#options.sincePlacedMs();
    const turn = this.#turn;
    const first = turn !== undefined && turn.responseMs === undefined && this.#spokenAtMs !== undefined;
    if (first) turn.responseMs = nowMs - (this.#spokenAtMs ?? nowMs);
    if (turn === undefined || this.#spokenAtMs !== undefined) this.#heard = true;
    progress({ type: 'answerStarted', responseMs: first ? turn.responseMs : undefined });
  }

  #sendFrame(nowMs: number): void {
    // Before media is up nothing is due; a script starts after that, or without media at all.
    if (this.#options.record.mediaConnects === 0 && !this.#speaking) return;
    const { record, send } = this.#options;
    const speaking = this.#speaking;
    const frame = speaking?.utterance.frames[speaking.at] ?? this.#silent;
    if (send(audioMessage(timestamp(nowMs), frame))) record.framesSent += 1;
    else {
      record.framesUnsent += 1;
      if (speaking) this.#lost = true;
    }
    if (!speaking) return;
    const { utterance, at } = speaking;
    if (at === utterance.firstAudible) this.#startsToSpeak(nowMs);
    // Not the tick's time but the time after sending: the response is measured from what has left.
    if (at === utterance.lastAudible) this.#hasSpoken(this.#options.clock.monotonicMs());
    speaking.at += 1;
    if (speaking.at < utterance.frames.length) return;
    this.#speaking = undefined;
    speaking.spoken();
  }
}

let stampedMs = Number.NaN;
let stamp = '';

/** Formatting a date costs more than all else of a frame: all calls of one tick share it. */
function timestamp(nowMs: number): string {
  if (nowMs !== stampedMs) {
    stampedMs = nowMs;
    stamp = new Date().toISOString();
  }
  return stamp;
}
