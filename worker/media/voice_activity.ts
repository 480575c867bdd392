import { EnergyGate } from './energy_gate.ts';
import { VoiceDetector } from './fvad.ts';
import type { MediaSettings } from './settings.ts';

/** The detector's noise model learns only from what it hears: without a share of the quiet frames it would take soft speech for the background. */
const QUIET_FRAMES_PER_SAMPLE = 8;
/** A new detector takes its first five frames of any noise for speech: without this every call would begin with an utterance of hiss. */
const WARM_UP_FRAMES = 6;

/** Whether a frame holds speech: a cheap energy gate first, the WebRTC detector for what passes. */
export class VoiceActivity {
  readonly #gate = new EnergyGate();
  readonly #detector: VoiceDetector;
  #quietFrames = 0;
  #warmUp = WARM_UP_FRAMES;

  constructor(settings: Pick<MediaSettings, 'sampleRateHertz' | 'vadMode'>) {
    this.#detector = new VoiceDetector(settings.sampleRateHertz, settings.vadMode);
  }

  /** Every loud frame is judged: the detector counts its own hang-over in frames, so that leaving some out would delay the end of a turn. */
  isSpeech(pcm: Int16Array): boolean {
    if (!this.#gate.passes(pcm)) {
      this.#gate.learn(false);
      if (++this.#quietFrames % QUIET_FRAMES_PER_SAMPLE === 0) this.#detector.isSpeech(pcm);
      return false;
    }
    const speech = this.#detector.isSpeech(pcm) && this.#warmUp === 0;
    if (this.#warmUp > 0) this.#warmUp--;
    this.#gate.learn(speech);
    return speech;
  }

  free(): void {
    this.#detector.free();
  }
}
