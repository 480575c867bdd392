import type { Clock } from '../../../platform/clock.ts';
import type { Log } from '../../../platform/log.ts';
import { DialogueEngine } from '../dialogue/engine.ts';
import { loadDialogue } from '../dialogue/load.ts';
import type { Dialogue } from '../dialogue/schema.ts';
import type { VoiceMetrics } from '../metrics.ts';
import type { VoiceBackend, VoiceSession, VoiceSessionOptions } from '../ports.ts';
import type { SpeechCache } from '../speech_cache.ts';
import { expectedPhrases } from './expected.ts';
import { Recogniser } from './recogniser.ts';
import { sentencesOf } from './sentences.ts';
import { OfflineSession } from './session.ts';
import { Speaker } from './speaker.ts';

/** Two callers of one worker can be heard at the same time; a third waits for the end of an utterance. */
const RECOGNISER_THREADS = 2;

export interface OfflineOptions {
  dialogueFile: string;
  voiceName: string;
  cache: SpeechCache;
  clock: Clock;
  log: Log;
  metrics: VoiceMetrics;
  workDir: string;
}

/** What the sessions share. */
export interface Speech {
  readonly clock: Clock;
  readonly recogniser: Pick<Recogniser, 'begin'>;
  /** The speech of one sentence, from the cache or made now; the array is the caller's to keep. */
  say(sentence: string, sampleRateHertz: number): Promise<Int16Array>;
}

/** Real speech without any cloud service: pocketsphinx hears, a dialogue file decides, flite speaks. */
export class OfflineBackend implements VoiceBackend {
  readonly name = 'offline';
  readonly turnTaking = 'worker';
  readonly #options: OfflineOptions;
  readonly #speaker: Speaker;
  #engine: DialogueEngine | undefined;
  #recogniser: Recogniser | undefined;

  constructor(options: OfflineOptions) {
    const { voiceName: voice, clock, log, metrics } = options;
    this.#options = options;
    this.#speaker = new Speaker({ voice, clock, log, metrics });
  }

  /** Loads the dialogue and the models. Rejects with ERR_DIALOGUE_INVALID or ERR_SPEECH_UNAVAILABLE. */
  async ready(): Promise<void> {
    const { dialogueFile, workDir, clock, log, metrics } = this.#options;
    const dialogue = await loadDialogue(dialogueFile);
    this.#engine = new DialogueEngine(dialogue);
    this.#recogniser = new Recogniser({
      threads: RECOGNISER_THREADS,
      phrases: expectedPhrases(dialogue),
      workDir,
      clock,
      log,
      metrics,
    });
    await Promise.all([this.#speaker.ready(), this.#recogniser.ready()]);
    await this.#warm(dialogue);
  }

  open(options: VoiceSessionOptions): VoiceSession {
    const engine = this.#engine;
    const recogniser = this.#recogniser;
    if (!engine || !recogniser) throw new Error('the voice backend is not ready');
    const speech: Speech = {
      clock: this.#options.clock,
      recogniser,
      say: (sentence, rate) => this.#say(sentence, rate),
    };
    return new OfflineSession(options, { engine, speech, metrics: this.#options.metrics });
  }

  async close(): Promise<void> {
    await Promise.all([this.#speaker.close(), this.#recogniser?.close()]);
  }

  async #say(text: string, sampleRateHertz: number): Promise<Int16Array> {
    const { cache, clock, metrics, voiceName: voice } = this.#options;
    const startMs = clock.monotonicMs();
    const request = { voice, sampleRateHertz, text };
    const pcm = await cache.get(request, () => this.#speaker.speak(request));
    metrics.synthesisSeconds.observe((clock.monotonicMs() - startMs) / 1000);
    return pcm.slice();
  }

  /** The first words of every call are spoken before the first call comes. Trouble shows at the first call, with its error. */
  async #warm(dialogue: Dialogue): Promise<void> {
    const sentences = [...dialogue.greeting, ...(dialogue.greetingAgain ?? [])].flatMap(sentencesOf);
    await Promise.allSettled(sentences.map((sentence) => this.#say(sentence, 16_000)));
  }
}
