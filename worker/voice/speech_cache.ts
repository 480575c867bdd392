/** Where spoken sentences are kept between calls: the cache of state/tts, or nothing. */
export interface SpeechCache {
  /** The speech of `text`; `synthesize` runs when it is not there. The array belongs to the cache: callers copy before they pass it on. */
  get(
    request: { voice: string; sampleRateHertz: number; text: string },
    synthesize: () => Promise<Int16Array>,
  ): Promise<Int16Array>;
}

/** Keeps nothing: every sentence is spoken anew. */
export class NoSpeechCache implements SpeechCache {
  get(
    _request: { voice: string; sampleRateHertz: number; text: string },
    synthesize: () => Promise<Int16Array>,
  ): Promise<Int16Array> {
    return synthesize();
  }
}
