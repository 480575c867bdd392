import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { arpaModel } from './language_model.ts';

type Library = ReturnType<typeof koffi.load>;

export const MODEL_DIR = '/usr/share/pocketsphinx/model/en-us';

/** Share of the dialogue's own phrases in the mixed language model. */
const DIALOGUE_WEIGHT = 0.3;

/** The start of the C structure `feat_t` of sphinxbase 0.8, down to the live cepstral mean. */
const FEAT_FIELDS = {
  refcount: 'int',
  name: 'const char *',
  cepsize: 'int',
  n_stream: 'int',
  stream_len: 'void *',
  window_size: 'int',
  n_sv: 'int',
  sv_len: 'void *',
  subvecs: 'void *',
  sv_buf: 'void *',
  sv_dim: 'int',
  cmn: 'int',
  varnorm: 'int',
  agc: 'int',
  compute_feat: 'void *',
  cmn_struct: 'void *',
};
const CEPSTRA = 13;

/**
 * pocketsphinx 0.8 (https://cmusphinx.github.io) in this thread, with the general US English model and, mixed in, a model of the
 * dialogue's phrases. One utterance at a time; blocks for some milliseconds a frame: use it in a thread of its own.
 */
export class PocketSphinx {
  // A library that nothing refers to is unloaded under the code that still points into it.
  readonly #libraries: unknown[];
  readonly #decoder: unknown;
  readonly #startUtterance: (decoder: unknown) => number;
  readonly #endUtterance: (decoder: unknown) => number;
  readonly #processRaw: (decoder: unknown, pcm: Int16Array, samples: number, noSearch: number, full: number) => number;
  readonly #hypothesis: (decoder: unknown, score: null) => string | null;
  readonly #startStream: (decoder: unknown) => number;
  readonly #setMean: (mean: Float32Array) => void;
  readonly #firstMean: Float32Array;

  constructor(options: { phrases: readonly string[]; workDir: string }) {
    if (!existsSync(join(MODEL_DIR, 'en-us', 'mdef'))) throw new Error(`no acoustic model in ${MODEL_DIR}`);
    const base = koffi.load('libsphinxbase.so.3', { global: true });
    const sphinx = koffi.load('libpocketsphinx.so.3');
    this.#libraries = [base, sphinx];
    base.func('void err_set_logfp(void *)')(null);
    const config = parseConfig(base, sphinx);
    this.#decoder = sphinx.func('void *ps_init(void *)')(config);
    if (!this.#decoder) throw new Error('ps_init failed');
    this.#startUtterance = sphinx.func('int ps_start_utt(void *)');
    this.#endUtterance = sphinx.func('int ps_end_utt(void *)');
    this.#processRaw = sphinx.func('int ps_process_raw(void *, const int16_t *, size_t, int, int)');
    this.#hypothesis = sphinx.func('const char *ps_get_hyp(void *, int32_t *)');
    this.#startStream = sphinx.func('int ps_start_stream(void *)');
    const feat = koffi.decode(sphinx.func('void *ps_get_feat(void *)')(this.#decoder), koffi.struct(FEAT_FIELDS)) as {
      cmn_struct: unknown;
    };
    const setMean = base.func('void cmn_live_set(void *, const float *)');
    this.#setMean = (mean) => setMean(feat.cmn_struct, mean);
    this.#firstMean = new Float32Array(CEPSTRA);
    base.func('void cmn_live_get(void *, _Out_ float *)')(feat.cmn_struct, this.#firstMean);
    if (options.phrases.length > 0) this.#mix(base, sphinx, config, options);
  }

  /** For `freeDecoder`. */
  get handle(): bigint {
    return koffi.address(this.#decoder);
  }

  get loaded(): number {
    return this.#libraries.length;
  }

  /** A new utterance. The cepstral mean starts afresh: what another caller's line sounded like must not colour this one. */
  begin(): void {
    this.#setMean(this.#firstMean);
    this.#startStream(this.#decoder);
    this.#startUtterance(this.#decoder);
  }

  /** 16 kHz mono. */
  hear(pcm: Int16Array): void {
    this.#processRaw(this.#decoder, pcm, pcm.length, 0, 0);
  }

  partial(): string {
    return this.#hypothesis(this.#decoder, null) ?? '';
  }

  end(): string {
    this.#endUtterance(this.#decoder);
    return this.partial();
  }

  #mix(
    base: Library,
    sphinx: Library,
    config: unknown,
    options: { phrases: readonly string[]; workDir: string },
  ): void {
    const file = join(options.workDir, `dialogue-${process.pid}-${Math.random().toString(36).slice(2)}.lm`);
    writeFileSync(file, arpaModel(options.phrases));
    try {
      const general: unknown = sphinx.func('void *ps_get_lm(void *, const char *)')(this.#decoder, '_default');
      const logmath: unknown = sphinx.func('void *ps_get_logmath(void *)')(this.#decoder);
      const dialogue: unknown = base.func('void *ngram_model_read(void *, const char *, int, void *)')(
        config,
        file,
        1,
        logmath,
      );
      if (!general || !dialogue) throw new Error('the language model of the dialogue could not be read');
      const set = base.func(
        'void *ngram_model_set_init(void *, void **models, const char **names, const float *weights, int32_t n)',
      );
      const weights = [1 - DIALOGUE_WEIGHT, DIALOGUE_WEIGHT];
      const mixed: unknown = set(config, [general, dialogue], ['general', 'dialogue'], weights, 2);
      if (!mixed) throw new Error('the language models could not be mixed');
      sphinx.func('int ps_set_lm(void *, const char *, void *)')(this.#decoder, 'mixed', mixed);
      sphinx.func('int ps_set_search(void *, const char *)')(this.#decoder, 'mixed');
      // The decoder holds the mixture, and that its parts.
      const letGo = base.func('int ngram_model_free(void *)');
      letGo(mixed);
      letGo(dialogue);
    } finally {
      rmSync(file, { force: true });
    }
  }
}

/**
 * Gives back the 160 MB of a decoder whose thread has ended: a thread that is terminated cannot do so itself. The libraries are held from
 * now on, since those of an ended thread are unloaded. Undefined where there are none: the threads say so.
 */
export function decoderRelease(): ((handle: bigint) => void) | undefined {
  try {
    const libraries = [koffi.load('libsphinxbase.so.3', { global: true }), koffi.load('libpocketsphinx.so.3')];
    const free = libraries[1]?.func('int ps_free(void *)');
    const trim = koffi.load(null).func('int malloc_trim(size_t)');
    // In a helper thread: it takes a fifth of a second, in which calls go on. The C library keeps what a thread freed for that thread
    // unless it is told to give it back.
    return (handle) => free?.async(handle, () => trim.async(0, () => undefined));
  } catch {
    return undefined;
  }
}

function parseConfig(base: Library, sphinx: Library): unknown {
  const definitions: unknown = sphinx.func('void *ps_args()')();
  const parse = base.func('void *cmd_ln_parse_r(void *, void *, int32_t, const char **argv, int32_t)');
  const argv = [
    'rtvoice',
    '-hmm',
    join(MODEL_DIR, 'en-us'),
    '-lm',
    join(MODEL_DIR, 'en-us.lm.bin'),
    '-dict',
    join(MODEL_DIR, 'cmudict-en-us.dict'),
  ];
  const config: unknown = parse(null, definitions, argv.length, argv, 1);
  if (!config) throw new Error('the recogniser refused its configuration');
  return config;
}
