import { FrameWindow } from './frame_window.ts';
import type { Activity, MediaListener } from './ports.ts';
import { frameSamples, framesOf, type MediaSettings } from './settings.ts';
import { TurnDetector } from './turn_detector.ts';
import { VoiceActivity } from './voice_activity.ts';

/** Gives the listener each frame of the caller once, in order, with its activity. */
export interface Listening {
  /** Memory that the decoder writes the next frame to, at `offset`. */
  readonly bytes: Buffer;
  readonly offset: number;
  /** The frame was written there. */
  written(silent: boolean): void;
  /** One frame that lies elsewhere. */
  hear(pcm: Int16Array, silent: boolean): void;
  close(): void;
}

type OnFrame = Pick<MediaListener, 'onFrame'>;

export function createListening(settings: MediaSettings, listener: OnFrame): Listening {
  return settings.turnDetection === 'off' ? new PassOn(settings, listener) : new FindTurns(settings, listener);
}

/** For voice backends that take turns themselves: every frame at once, nothing spent on it and nothing claimed of it. */
class PassOn implements Listening {
  readonly bytes: Buffer;
  readonly offset = 0;
  readonly #frame: Int16Array;
  readonly #listener: OnFrame;

  constructor(settings: MediaSettings, listener: OnFrame) {
    const samples = frameSamples(settings.sampleRateHertz);
    this.bytes = Buffer.allocUnsafeSlow(samples * 2);
    this.#frame = new Int16Array(this.bytes.buffer);
    this.#listener = listener;
  }

  written(): void {
    this.#listener.onFrame(this.#frame, 'silence');
  }

  hear(pcm: Int16Array): void {
    this.#listener.onFrame(pcm, 'silence');
  }

  close(): void {
    // holds nothing
  }
}

/**
 * Voice activity and turns. Between utterances the newest frames stay in the window: long enough that at a `start` the pre-roll and
 * the frames that proved the speech are still there.
 */
class FindTurns implements Listening {
  readonly #window: FrameWindow;
  readonly #activity: VoiceActivity;
  readonly #turns: TurnDetector;
  readonly #preRollFrames: number;
  readonly #listener: OnFrame;
  #closed = false;

  constructor(settings: MediaSettings, listener: OnFrame) {
    this.#preRollFrames = framesOf(settings.preRollMs);
    const frames = this.#preRollFrames + framesOf(settings.startWindowMs);
    this.#window = new FrameWindow(frames, frameSamples(settings.sampleRateHertz) * 2);
    this.#activity = new VoiceActivity(settings);
    this.#turns = new TurnDetector(settings);
    this.#listener = listener;
  }

  get bytes(): Buffer {
    return this.#window.bytes;
  }

  get offset(): number {
    return this.#window.writeOffset;
  }

  written(silent: boolean): void {
    const frame = this.#window.next;
    const activity = this.#turns.push(!silent && this.#activity.isSpeech(frame));
    if (activity === 'speech' || activity === 'end') this.#listener.onFrame(frame, activity);
    else this.#hold(activity === 'start');
  }

  #hold(start: boolean): void {
    if (this.#window.full) this.#listener.onFrame(this.#window.shift(), 'silence');
    if (this.#closed) return;
    this.#window.keep();
    if (start) this.#begin();
  }

  hear(pcm: Int16Array, silent: boolean): void {
    this.#window.next.set(pcm);
    this.written(silent);
  }

  /** The held frames are the last of the silence, then the pre-roll, then those that proved the speech. */
  #begin(): void {
    const ofUtterance = this.#preRollFrames + this.#turns.sinceFirstSpeech + 1;
    let activity: Activity = 'start';
    while (this.#window.held > 0 && !this.#closed) {
      if (this.#window.held > ofUtterance) this.#listener.onFrame(this.#window.shift(), 'silence');
      else {
        this.#listener.onFrame(this.#window.shift(), activity);
        activity = 'speech';
      }
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#activity.free();
  }
}
