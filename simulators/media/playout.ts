import { AUDIBLE_PEAK, peak, type SampleRate, samplesPerFrame } from './frames.ts';
import { FRAME_MS } from './ticker.ts';

/** Playback that stays dry for so long has ended its answer. */
export const ANSWER_END_MS = 300;
const GAP_MS = 40;
/** The bound of the service's queue is not documented; over a minute of queued audio no worker can mean. */
const MAX_QUEUED_SECONDS = 60;

export interface PlayoutListener {
  onAnswerStarted(nowMs: number): void;
  onAnswerEnded(): void;
  /** Playback ran dry for so long within an answer. */
  onGap(ms: number): void;
  /** The 20 ms that the caller hears now; undefined is silence. */
  onPlayed?(pcm: Int16Array | undefined): void;
}

/**
 * What the caller hears: audio of the worker is queued and played in real time, StopAudio empties the queue. An answer begins with its
 * first audible frame and ends when the queue has been empty for 300 ms, or by StopAudio.
 */
export class Playout {
  readonly #listener: PlayoutListener;
  #frameSamples: number;
  #maxSamples: number;
  #queue: Int16Array[] = [];
  #offset = 0;
  #queued = 0;
  #answering = false;
  #dryMs = 0;
  overflowSamples = 0;

  constructor(rate: SampleRate, listener: PlayoutListener) {
    this.#listener = listener;
    this.#frameSamples = samplesPerFrame(rate);
    this.#maxSamples = rate * MAX_QUEUED_SECONDS;
  }

  /** An answer is being heard, or has paused for less than 300 ms. */
  get answering(): boolean {
    return this.#answering;
  }

  /** How long the running answer has been dry; 0 while it plays. */
  get dryMs(): number {
    return this.#dryMs;
  }

  get queuedSamples(): number {
    return this.#queued;
  }

  receive(pcm: Int16Array, nowMs: number): void {
    if (this.#queued + pcm.length > this.#maxSamples) {
      this.overflowSamples += pcm.length;
      return;
    }
    if (this.#answering && this.#dryMs > GAP_MS) this.#listener.onGap(this.#dryMs);
    this.#dryMs = 0;
    this.#queue.push(pcm);
    this.#queued += pcm.length;
    if (!this.#answering && peak(pcm) >= AUDIBLE_PEAK) {
      this.#answering = true;
      this.#listener.onAnswerStarted(nowMs);
    }
  }

  stop(): void {
    this.#queue = [];
    this.#offset = 0;
    this.#queued = 0;
    this.#end();
  }

  /** Plays the next 20 ms. */
  tick(): void {
    if (this.#queued === 0) {
      this.#listener.onPlayed?.(undefined);
      if (!this.#answering) return;
      this.#dryMs += FRAME_MS;
      if (this.#dryMs >= ANSWER_END_MS) this.#end();
      return;
    }
    const played = this.#take();
    this.#listener.onPlayed?.(played);
  }

  #take(): Int16Array {
    const frame = new Int16Array(this.#frameSamples);
    let filled = 0;
    for (let head = this.#queue[0]; head && filled < frame.length; head = this.#queue[0]) {
      const part = head.subarray(this.#offset, this.#offset + frame.length - filled);
      frame.set(part, filled);
      filled += part.length;
      this.#offset += part.length;
      if (this.#offset < head.length) break;
      this.#queue.shift();
      this.#offset = 0;
    }
    this.#queued -= filled;
    return frame;
  }

  #end(): void {
    this.#dryMs = 0;
    if (!this.#answering) return;
    this.#answering = false;
    this.#listener.onAnswerEnded();
  }
}
