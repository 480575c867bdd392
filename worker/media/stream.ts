import type { MediaCloseReason } from '../../contract/reasons.ts';
import type { Clock } from '../../platform/clock.ts';
import { CLOSE_CODES } from './close_codes.ts';
import { FrameEncoder } from './encoder.ts';
import { DECLINED, FastDecoder, SILENT } from './fast_decoder.ts';
import { createListening, type Listening } from './listening.ts';
import type { MediaMetrics, MeteredStream } from './metrics.ts';
import type { Pacer } from './pacer.ts';
import { Player } from './player.ts';
import type { MediaListener, MediaSocket, MediaStream } from './ports.ts';
import { PerSecondLimit } from './rate_limit.ts';
import { Reframer } from './reframer.ts';
import { frameSamples, type MediaSettings } from './settings.ts';
import { type DropReason, decodeMessage } from './slow_decoder.ts';

export interface MediaStreamOptions {
  listener: MediaListener;
  /** Shared by all calls of the process. */
  pacer: Pacer;
  /** Of `mediaSettings`. */
  settings: MediaSettings;
  /** Shared by all calls of the process. */
  metrics: MediaMetrics;
  clock: Clock;
}

/** The media side of one call. `close` must be called in the end: it gives the voice detector back. */
export function createMediaStream(options: MediaStreamOptions): MediaStream {
  return new Stream(options);
}

/** Encoders hold one message that is valid until the next: one per frame length serves the whole process. */
const encoders = new Map<number, FrameEncoder>();

function encoderFor(frameBytes: number): FrameEncoder {
  let encoder = encoders.get(frameBytes);
  if (!encoder) {
    encoder = new FrameEncoder(frameBytes);
    encoders.set(frameBytes, encoder);
  }
  return encoder;
}

class Stream implements MediaStream, MeteredStream {
  readonly #listener: MediaListener;
  readonly #metrics: MediaMetrics;
  readonly #clock: Clock;
  readonly #frameSamples: number;
  readonly #listening: Listening;
  readonly #player: Player;
  readonly #malformed: PerSecondLimit;
  #decoder: FastDecoder;
  #reframer: Reframer | undefined;
  #socket: MediaSocket | undefined;
  #closed = false;

  constructor(options: MediaStreamOptions) {
    const { settings, listener, metrics, pacer, clock } = options;
    this.#listener = listener;
    this.#metrics = metrics;
    this.#clock = clock;
    this.#frameSamples = frameSamples(settings.sampleRateHertz);
    this.#decoder = new FastDecoder(this.#frameSamples * 2);
    this.#malformed = new PerSecondLimit(settings.malformedPerSecond);
    this.#listening = createListening(settings, listener);
    const encoder = encoderFor(this.#frameSamples * 2);
    this.#player = new Player({
      listener,
      pacer,
      encoder,
      settings,
      metrics,
      onOverload: () => this.#mustClose('overload'),
    });
  }

  get attached(): boolean {
    return this.#socket !== undefined;
  }

  get playing(): boolean {
    return this.#player.playing;
  }

  bufferedBytes(): number {
    return this.#socket?.bufferedBytes() ?? 0;
  }

  attach(socket: MediaSocket): void {
    if (socket === this.#socket) return;
    // a call that has ended serves nobody; the socket was on its way when it did
    if (this.#closed) {
      socket.end(CLOSE_CODES.hangUp, 'hangUp');
      return;
    }
    const older = this.#socket;
    this.#socket = socket;
    this.#decoder = new FastDecoder(this.#frameSamples * 2);
    this.#reframer = undefined;
    this.#malformed.reset();
    this.#metrics.attached.add(this);
    this.#player.use(socket);
    if (older) this.#metrics.closed('superseded');
    older?.end(CLOSE_CODES.superseded, 'superseded');
  }

  detach(socket: MediaSocket): void {
    if (socket !== this.#socket) return;
    this.#metrics.closed('acsClose');
    this.#letGo();
  }

  receive(message: ArrayBuffer): void {
    if (!this.#socket) return;
    // part of a frame is waiting: what comes next belongs behind it
    const result = this.#reframer
      ? DECLINED
      : this.#decoder.decode(message, this.#listening.bytes, this.#listening.offset);
    if (result === DECLINED) this.#receiveOther(message);
    else {
      this.#metrics.framesIn++;
      this.#listening.written(result === SILENT);
    }
  }

  play(answerId: string, pcm: Int16Array): void {
    if (!this.#closed) this.#player.play(answerId, pcm);
  }

  endOfAnswer(answerId: string): void {
    if (!this.#closed) this.#player.complete(answerId);
  }

  stopPlayback(): void {
    if (!this.#closed) this.#player.stop(this.#clock.monotonicMs());
  }

  close(reason: MediaCloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    const socket = this.#socket;
    this.#letGo();
    this.#listening.close();
    this.#player.close();
    if (socket) this.#metrics.closed(reason);
    socket?.end(CLOSE_CODES[reason], reason);
  }

  #receiveOther(bytes: ArrayBuffer): void {
    const message = decodeMessage(bytes);
    if (message.kind === 'audio') this.#hearAudio(message.pcm, message.silent);
    else if (message.kind === 'dtmf') this.#listener.onDtmf(message.tone);
    else if (message.kind === 'dropped') this.#drop(message.why);
    else
      this.#listener.onMetadata({ sampleRateHertz: message.sampleRateHertz, subscriptionId: message.subscriptionId });
  }

  #hearAudio(pcm: Int16Array, silent: boolean): void {
    if (pcm.length === this.#frameSamples && !this.#reframer) this.#hearFrame(pcm, silent);
    else {
      this.#reframer ??= new Reframer(this.#frameSamples);
      this.#reframer.push(pcm, (frame) => this.#hearFrame(frame, silent));
      if (this.#reframer?.pending === 0) this.#reframer = undefined;
    }
  }

  #hearFrame(pcm: Int16Array, silent: boolean): void {
    if (this.#closed) return;
    this.#metrics.framesIn++;
    this.#listening.hear(pcm, silent);
  }

  #drop(why: DropReason): void {
    this.#metrics.malformed(why);
    if (why === 'unknownKind') return;
    if (this.#malformed.hit(this.#clock.monotonicMs())) this.#mustClose('protocolViolation');
  }

  /** The socket goes, the call may get another. */
  #mustClose(reason: MediaCloseReason): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#letGo();
    this.#metrics.closed(reason);
    this.#listener.onMustClose(reason);
    socket.end(CLOSE_CODES[reason], reason);
  }

  #letGo(): void {
    this.#socket = undefined;
    this.#metrics.attached.delete(this);
    this.#player.use(undefined);
  }
}
