import { defineError } from '../../platform/errors.ts';

export const MEDIA_SETTINGS_INVALID = defineError('ERR_MEDIA_SETTINGS', {
  status: 500,
  message: 'a media setting is out of range',
  remedy: 'Give the named setting a value inside the range that the message states.',
});

/** ACS sends and takes 20 ms of 16-bit mono PCM per message: 640 bytes at 16 kHz, 960 at 24 kHz. */
export const FRAME_MS = 20;

/** What a media stream is tuned by. Every duration is used in whole frames of 20 ms. */
export interface MediaSettings {
  /** What the call was answered with (`audioFormat`). */
  readonly sampleRateHertz: 16000 | 24000;
  /** `worker`: voice activity and turns are found here; `off`: the voice backend takes turns by itself, so nothing is spent on it. */
  readonly turnDetection: 'worker' | 'off';
  /** Speech within `startWindowMs` that starts an utterance. The window bounds how late a barge-in can be. */
  readonly startSpeechMs: number;
  readonly startWindowMs: number;
  /** Silence that ends an utterance. */
  readonly hangOverMs: number;
  /** No utterance ends before it is this long. */
  readonly minUtteranceMs: number;
  /** An utterance is cut here, so that a noisy line cannot keep a turn open for ever. */
  readonly maxUtteranceMs: number;
  /** Audio before the first speech frame that belongs to the utterance: a soft first sound is quieter than the detector's threshold. */
  readonly preRollMs: number;
  /** Aggressiveness of the WebRTC detector: 0 takes much for speech, 3 little. */
  readonly vadMode: 0 | 1 | 2 | 3;
  /** How far ahead of the playback clock audio may be sent: what bridges a late event loop. */
  readonly leadMs: number;
  /** Frames that share one write to the socket while an answer is ahead of the playback clock. */
  readonly framesPerWrite: number;
  /** Audio queued for one call; what comes beyond is refused (policy `queueFull`). */
  readonly maxQueuedMs: number;
  /** A peer that reads too slowly for this long is given up as `overload`. */
  readonly overloadMs: number;
  /** Malformed messages within one second that close the socket as `protocolViolation`. */
  readonly malformedPerSecond: number;
}

const DEFAULTS: Omit<MediaSettings, 'sampleRateHertz'> = {
  turnDetection: 'worker',
  startSpeechMs: 60,
  startWindowMs: 100,
  hangOverMs: 500,
  minUtteranceMs: 200,
  maxUtteranceMs: 30_000,
  preRollMs: 200,
  vadMode: 2,
  leadMs: 300,
  framesPerWrite: 5,
  maxQueuedMs: 60_000,
  overloadMs: 10_000,
  malformedPerSecond: 100,
};

const RANGES: readonly (readonly [keyof MediaSettings, min: number, max: number])[] = [
  ['startSpeechMs', 20, 600],
  ['startWindowMs', 20, 600],
  ['hangOverMs', 40, 5_000],
  ['minUtteranceMs', 0, 5_000],
  ['maxUtteranceMs', 1_000, 300_000],
  ['preRollMs', 0, 1_000],
  ['vadMode', 0, 3],
  ['leadMs', 60, 500],
  ['framesPerWrite', 1, 10],
  ['maxQueuedMs', 1_000, 600_000],
  ['overloadMs', 100, 60_000],
  ['malformedPerSecond', 1, 1_000],
];

/** Fills in the defaults; throws ERR_MEDIA_SETTINGS naming the first field that is out of range. */
export function mediaSettings(given: Pick<MediaSettings, 'sampleRateHertz'> & Partial<MediaSettings>): MediaSettings {
  const settings: MediaSettings = { ...DEFAULTS, ...given };
  if (settings.sampleRateHertz !== 16_000 && settings.sampleRateHertz !== 24_000) {
    throw MEDIA_SETTINGS_INVALID.with('sampleRateHertz must be 16000 or 24000');
  }
  for (const [name, min, max] of RANGES) {
    const value = Number(settings[name]);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw MEDIA_SETTINGS_INVALID.with(`${name} must be a whole number from ${min} to ${max}`);
    }
  }
  if (settings.startSpeechMs > settings.startWindowMs) {
    throw MEDIA_SETTINGS_INVALID.with('startSpeechMs must not exceed startWindowMs');
  }
  if (settings.framesPerWrite * FRAME_MS * 2 > settings.leadMs) {
    throw MEDIA_SETTINGS_INVALID.with(
      'framesPerWrite must be at most half of leadMs: less would leave no lead to bridge a late tick',
    );
  }
  return settings;
}

export const frameSamples = (sampleRateHertz: number): number => (sampleRateHertz * FRAME_MS) / 1000;
export const framesOf = (durationMs: number): number => Math.ceil(durationMs / FRAME_MS);
