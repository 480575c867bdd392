import koffi from 'koffi';

/** Voices of Debian's flite that speak US English. */
export const FLITE_VOICES = ['slt', 'rms', 'kal16', 'kal', 'awb'] as const;
export type FliteVoice = (typeof FLITE_VOICES)[number];

interface Wave {
  sample_rate: number;
  num_samples: number;
  num_channels: number;
  samples: unknown;
}

/**
 * flite (https://github.com/festvox/flite) in this thread: 12 ms of CPU per second of speech. Not reentrant, and one call blocks as long as the
 * sentence takes: use it in a thread of its own.
 */
export class Flite {
  // A library that nothing refers to is unloaded under the code that still points into it.
  readonly #libraries: unknown[] = [];
  readonly #voices = new Map<string, unknown>();
  readonly #speak: (text: string, voice: unknown) => unknown;
  readonly #free: (wave: unknown) => void;

  constructor() {
    const flite = koffi.load('libflite.so.1', { global: true });
    this.#libraries.push(flite);
    koffi.struct('cst_wave', {
      type: 'const char *',
      sample_rate: 'int',
      num_samples: 'int',
      num_channels: 'int',
      samples: 'void *',
    });
    flite.func('int flite_init()')();
    this.#speak = flite.func('cst_wave *flite_text_to_wave(const char *text, void *voice)');
    this.#free = flite.func('void delete_wave(cst_wave *wave)');
  }

  /** Loads a voice; the first use of one costs some milliseconds. */
  load(name: string): unknown {
    const known = this.#voices.get(name);
    if (known) return known;
    if (!(FLITE_VOICES as readonly string[]).includes(name))
      throw new Error(`there is no flite voice "${name}"; choose one of ${FLITE_VOICES.join(', ')}`);
    const file = name === 'awb' ? 'libflite_cmu_us_awb.so.1' : `libflite_cmu_us_${name}.so.1`;
    const library = koffi.load(file);
    this.#libraries.push(library);
    const voice: unknown = library.func(`void *register_cmu_us_${name}(const char *directory)`)(null);
    this.#voices.set(name, voice);
    return voice;
  }

  /** The speech of `text` and its sample rate: 16 kHz, the voice kal 8 kHz. */
  speak(name: string, text: string): { pcm: Int16Array; sampleRateHertz: number } {
    const wave = this.#speak(text, this.load(name));
    if (!wave) throw new Error('flite gave no audio');
    try {
      const { samples, num_samples, sample_rate } = koffi.decode(wave, 'cst_wave') as Wave;
      const pcm =
        num_samples > 0
          ? Int16Array.from(koffi.decode(samples, 'int16_t', num_samples) as ArrayLike<number>)
          : new Int16Array(0);
      return { pcm, sampleRateHertz: sample_rate };
    } finally {
      this.#free(wave);
    }
  }
}
