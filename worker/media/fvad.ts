import loadFvad from '@echogarden/fvad-wasm';
import { defineError } from '../../platform/errors.ts';

export const FVAD_FAILED = defineError('ERR_VOICE_DETECTOR', {
  status: 500,
  message: 'the voice activity detector could not be made',
  remedy: 'The worker holds more calls than its memory allows: lower slotsPerWorker or raise the memory limit.',
});

const MAX_SAMPLES = 480;

// One instance for the process: a call costs one detector of about 750 bytes in its memory. Loaded with the module, so that opening a call stays synchronous.
const wasm = await loadFvad();
const scratch = wasm._malloc(MAX_SAMPLES * 2);
let heap = wasm.HEAP16;
let scratchView = heap.subarray(scratch >> 1, (scratch >> 1) + MAX_SAMPLES);

/** Detectors that are open in this process; a count that does not return to zero is a leak in WebAssembly memory, which is never given back. */
let open = 0;
export const openDetectors = (): number => open;

/** libfvad works at 8 kHz inside and knows 8, 16, 32 and 48 kHz; 24 kHz is brought down to 8 kHz here, by three to one. */
export class VoiceDetector {
  readonly #decimate: boolean;
  #detector: number;

  constructor(sampleRateHertz: 16000 | 24000, mode: 0 | 1 | 2 | 3) {
    this.#decimate = sampleRateHertz === 24_000;
    this.#detector = wasm._fvad_new();
    if (this.#detector === 0) throw FVAD_FAILED.with('out of WebAssembly memory');
    open++;
    wasm._fvad_set_mode(this.#detector, mode);
    wasm._fvad_set_sample_rate(this.#detector, this.#decimate ? 8_000 : 16_000);
    if (heap !== wasm.HEAP16) {
      heap = wasm.HEAP16;
      scratchView = heap.subarray(scratch >> 1, (scratch >> 1) + MAX_SAMPLES);
    }
  }

  /** Whether one 20 ms frame holds speech. */
  isSpeech(pcm: Int16Array): boolean {
    if (this.#detector === 0) return false;
    let samples = pcm.length;
    if (this.#decimate) samples = decimateByThree(pcm, scratchView);
    else scratchView.set(pcm);
    return wasm._fvad_process(this.#detector, scratch, samples) === 1;
  }

  /** Must be called once the call is over; safe to repeat. */
  free(): void {
    if (this.#detector === 0) return;
    wasm._fvad_free(this.#detector);
    this.#detector = 0;
    open--;
  }
}

/**
 * 24 kHz to 8 kHz: a five-tap low-pass (1 2 3 2 1)/9, two running means of three in a row, with zeros at 8 kHz where aliases of
 * the lowest band would come from. Good enough for a detector that looks at six bands below 4 kHz. Returns the samples written.
 */
export function decimateByThree(input: Int16Array, output: Int16Array): number {
  const count = Math.floor(input.length / 3);
  for (let i = 0, at = 0; i < count; i++, at += 3) {
    const centre = at + 1;
    const a = at > 0 ? (input[centre - 2] as number) : (input[at] as number);
    const e = centre + 2 < input.length ? (input[centre + 2] as number) : (input[centre + 1] as number);
    const sum = a + 2 * (input[at] as number) + 3 * (input[centre] as number) + 2 * (input[centre + 1] as number) + e;
    output[i] = Math.round(sum / 9);
  }
  return count;
}
