import { type Answer, Answers, type Ended } from './answers.ts';
import { AudioQueue } from './audio_queue.ts';
import { type FrameEncoder, STOP_AUDIO } from './encoder.ts';
import type { MediaMetrics } from './metrics.ts';
import type { Paced, Pacer } from './pacer.ts';
import type { MediaListener, MediaSocket } from './ports.ts';
import { FRAME_MS, frameSamples, framesOf, type MediaSettings } from './settings.ts';

type PlayerListener = Pick<MediaListener, 'onPlaybackStarted' | 'onPlaybackEnded'>;

export interface PlayerOptions {
  listener: PlayerListener;
  pacer: Pacer;
  encoder: FrameEncoder;
  settings: MediaSettings;
  metrics: MediaMetrics;
  /** The peer has read too slowly for too long. */
  onOverload: () => void;
}

/** A short time after the estimate says that all has been played, ACS may still hold some: StopAudio is then sent all the same. */
const STOP_GRACE_MS = 500;
const DROPPED = 2;
const SENT = 1;

/**
 * Plays one call's answers through whatever socket it has. It keeps a playback clock: the moment at which all that was sent will have
 * been heard, at most `leadMs` ahead. After `stop` nothing of an answer leaves until a new answer is played, whatever the order of calls.
 */
export class Player implements Paced {
  readonly #listener: PlayerListener;
  readonly #pacer: Pacer;
  readonly #encoder: FrameEncoder;
  readonly #metrics: MediaMetrics;
  readonly #settings: MediaSettings;
  readonly #onOverload: () => void;
  readonly #queue: AudioQueue;
  readonly #answers = new Answers();
  readonly #sampleMs: number;
  readonly #send = (): void => this.#sendBatch();
  #socket: MediaSocket | undefined;
  #awake = false;
  /** The playback clock: all that was sent has been played at this time. */
  #playedOutAtMs = Number.NEGATIVE_INFINITY;
  /** Frames of the queue that an answer has been given. */
  #assigned = 0;
  #nowMs = 0;
  #batch = 0;
  #sentSinceStop = false;
  #stopPending = false;
  /** Since when the peer has not taken what was sent. */
  #congestedSinceMs: number | undefined;
  readonly #started: string[] = [];

  constructor(options: PlayerOptions) {
    const { settings } = options;
    this.#listener = options.listener;
    this.#pacer = options.pacer;
    this.#encoder = options.encoder;
    this.#metrics = options.metrics;
    this.#settings = settings;
    this.#onOverload = options.onOverload;
    this.#queue = new AudioQueue(frameSamples(settings.sampleRateHertz), framesOf(settings.maxQueuedMs));
    this.#sampleMs = 1000 / settings.sampleRateHertz;
  }

  get playing(): boolean {
    return this.#answers.size > 0;
  }

  /** Goes on with this socket, or pauses without one. What had been sent to the old one counts as heard: ACS may have it. */
  use(socket: MediaSocket | undefined): void {
    this.#socket = socket;
    this.#congestedSinceMs = undefined;
    if (socket && (this.#stopPending || this.playing)) this.#wake();
  }

  play(answerId: string, pcm: Int16Array): void {
    const answer = this.#answerFor(answerId);
    if (!answer) {
      this.#metrics.dropped('staleAnswer', this.#framesOf(pcm.length));
      return;
    }
    const taken = this.#queue.write(pcm);
    if (taken < pcm.length) this.#metrics.dropped('queueFull', this.#framesOf(pcm.length - taken));
    answer.audioMs += taken * this.#sampleMs;
    this.#assignFrames();
    this.#wake();
  }

  /** No more audio for this answer; one that never had any still ends, in its turn. */
  complete(answerId: string): void {
    const answer = this.#answerFor(answerId);
    if (!answer) return;
    this.#completeLast(answer);
    this.#wake();
  }

  /** Drops all that is queued and tells ACS to do the same. */
  stop(nowMs: number): void {
    this.#nowMs = nowMs;
    const unplayedMs = Math.max(0, this.#playedOutAtMs - nowMs);
    const audible = this.playing || (this.#sentSinceStop && this.#playedOutAtMs + STOP_GRACE_MS > nowMs);
    const ended = this.#answers.stop(unplayedMs);
    this.#queue.release();
    this.#assigned = 0;
    this.#started.length = 0;
    this.#sentSinceStop = false;
    this.#playedOutAtMs = nowMs;
    if (audible) {
      this.#stopPending = true;
      if (!this.#trySendStop()) this.#wake();
    }
    this.#tellEnded(ended);
  }

  /** Drops everything without a word: the call is over. */
  close(): void {
    this.#socket = undefined;
    this.#stopPending = false;
    this.#answers.stop(0);
    this.#queue.release();
    this.#assigned = 0;
    this.#started.length = 0;
  }

  tick(nowMs: number): boolean {
    this.#nowMs = nowMs;
    if (this.#socket && this.#clearToSend(this.#socket, nowMs) && this.#trySendStop()) this.#fill(this.#socket);
    for (let ended = this.#answers.shiftPlayed(nowMs); ended; ended = this.#answers.shiftPlayed(nowMs)) {
      if (!this.playing) this.#queue.release();
      this.#listener.onPlaybackEnded(ended.answerId, ended.playedMs, ended.stopped);
    }
    this.#awake =
      this.playing || (this.#socket !== undefined && (this.#stopPending || this.#congestedSinceMs !== undefined));
    return this.#awake;
  }

  /** Sends as many frames as the lead has room for, once that makes a full write or the audio at hand ends. */
  #fill(socket: MediaSocket): void {
    const aheadMs = Math.max(0, this.#playedOutAtMs - this.#nowMs);
    const room = Math.floor((this.#settings.leadMs - aheadMs) / FRAME_MS);
    if (room < this.#settings.framesPerWrite) return;
    this.#batch = Math.min(room, this.#queue.frames);
    if (this.#batch === 0) return;
    if (this.#batch > 1 && socket.cork) socket.cork(this.#send);
    else this.#sendBatch();
    for (let id = this.#started.shift(); id !== undefined; id = this.#started.shift())
      this.#listener.onPlaybackStarted(id);
  }

  #sendBatch(): void {
    const socket = this.#socket;
    for (let i = 0; i < this.#batch && socket && this.#congestedSinceMs === undefined; i++) {
      const answer = this.#answers.sending;
      if (!answer) return;
      this.#advance(answer);
      const offset = this.#queue.take();
      const result = socket.send(this.#encoder.encode(this.#queue.bytes, offset));
      if (result !== SENT) this.#congestedSinceMs = this.#nowMs;
      if (result === DROPPED) this.#metrics.dropped('backpressure', 1);
      else this.#metrics.framesOut++;
    }
  }

  /** Moves the playback clock on by one frame of this answer. */
  #advance(answer: Answer): void {
    if (answer.framesSent === 0) this.#started.push(answer.id);
    else if (this.#playedOutAtMs < this.#nowMs) this.#metrics.underrun();
    this.#playedOutAtMs = Math.max(this.#playedOutAtMs, this.#nowMs) + FRAME_MS;
    this.#sentSinceStop = true;
    this.#assigned--;
    answer.framesQueued--;
    answer.framesSent++;
    answer.playedOutAtMs = this.#playedOutAtMs;
  }

  /** False while the peer does not read. Audio whose moment goes by meanwhile is dropped, oldest first, so that it never lags behind. */
  #clearToSend(socket: MediaSocket, nowMs: number): boolean {
    if (this.#congestedSinceMs === undefined) return true;
    if (socket.bufferedBytes() === 0) {
      this.#congestedSinceMs = undefined;
      return true;
    }
    this.#skipLate(nowMs);
    if (nowMs - this.#congestedSinceMs >= this.#settings.overloadMs) this.#onOverload();
    return false;
  }

  #skipLate(nowMs: number): void {
    let skipped = 0;
    let answer = this.#answers.sending;
    for (; answer && this.#playedOutAtMs + FRAME_MS <= nowMs; answer = this.#answers.sending) {
      this.#queue.take();
      this.#assigned--;
      this.#playedOutAtMs += FRAME_MS;
      answer.framesQueued--;
      answer.audioMs -= FRAME_MS;
      answer.playedOutAtMs = this.#playedOutAtMs;
      skipped++;
    }
    // nothing was due, so what comes next is not late
    if (!answer) this.#playedOutAtMs = Math.max(this.#playedOutAtMs, nowMs);
    this.#metrics.dropped('slowReader', skipped);
  }

  /** True when no StopAudio is owed. Nothing else is sent while one is. */
  #trySendStop(): boolean {
    if (!this.#stopPending) return true;
    if (!this.#socket) return false;
    if (this.#socket.send(STOP_AUDIO) === DROPPED) {
      this.#congestedSinceMs ??= this.#nowMs;
      return false;
    }
    this.#stopPending = false;
    return true;
  }

  /** The answer that takes audio under this id: the last one, or a new one, which completes the one before it. */
  #answerFor(answerId: string): Answer | undefined {
    const { last } = this.#answers;
    if (last?.id === answerId && !last.complete) return last;
    if (!this.#answers.accepts(answerId)) return undefined;
    if (last && !last.complete) this.#completeLast(last);
    return this.#answers.open(answerId);
  }

  #completeLast(answer: Answer): void {
    answer.complete = true;
    this.#queue.pad();
    this.#assignFrames();
  }

  /** Frames that became whole belong to the last answer, as only that one takes audio. */
  #assignFrames(): void {
    const { last } = this.#answers;
    if (!last) return;
    last.framesQueued += this.#queue.frames - this.#assigned;
    this.#assigned = this.#queue.frames;
  }

  #framesOf(samples: number): number {
    return Math.ceil((samples * this.#sampleMs) / FRAME_MS);
  }

  #tellEnded(ended: readonly Ended[]): void {
    for (const { answerId, playedMs, stopped } of ended) this.#listener.onPlaybackEnded(answerId, playedMs, stopped);
  }

  #wake(): void {
    if (this.#awake) return;
    this.#awake = true;
    this.#pacer.wake(this);
  }
}
