import { createHash } from 'node:crypto';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { Counter, Gauge, type Registry } from '../../platform/metrics.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import { ttlSeconds } from '../keys/ttl.ts';
import type { RedisClient } from '../redis/client.ts';
import { decodePcm, encodePcm } from './pcm_record.ts';
import { PhraseMemory } from './phrase_memory.ts';

export interface PhraseRequest {
  voice: string;
  sampleRateHertz: number;
  /** Speed of speaking, 1 as the voice has it. */
  rate?: number;
  text: string;
}

export interface TtsCacheOptions {
  /** A client of its own: a phrase of seconds must not stand before a checkpoint on the same connection. */
  redis: RedisClient;
  keys: RedisKeyManager;
  log: Log;
  registry: Registry;
  /** Time to live in Redis, 24 h unless told otherwise. */
  ttlSeconds?: number;
  /** Longer phrases are not cached: they hardly come twice. Bytes of PCM. */
  maxPhraseBytes?: number;
  /** Bytes of PCM kept in this process. */
  maxMemoryBytes?: number;
  /** False while Redis is short of memory: then nothing is written. */
  mayWrite?: () => boolean;
}

const KEY_VERSION = 1;
const MAX_PHRASE_BYTES = 2 * 1024 * 1024;
const MAX_MEMORY_BYTES = 16 * 1024 * 1024;

/** Synthesised phrases, in memory and in Redis. Redis trouble is a miss, never an error. */
export class TtsCache {
  readonly #options: TtsCacheOptions;
  readonly #ttlSeconds: number;
  readonly #maxPhraseBytes: number;
  readonly #memory: PhraseMemory;
  /** Phrases that are being fetched or synthesised; as many as calls wait for one. */
  readonly #inFlight = new Map<string, Promise<Int16Array>>();
  readonly #lookups: Counter<'result'>;
  readonly #errors: Counter<'op'>;

  constructor(options: TtsCacheOptions) {
    this.#options = options;
    this.#ttlSeconds = ttlSeconds('tts_cache', options.ttlSeconds);
    this.#maxPhraseBytes = options.maxPhraseBytes ?? MAX_PHRASE_BYTES;
    this.#memory = new PhraseMemory(options.maxMemoryBytes ?? MAX_MEMORY_BYTES);
    const registers = [options.registry];
    this.#lookups = new Counter({
      name: 'rtvoice_tts_cache_total',
      help: 'Phrases asked for, by where they were found: memory, redis, joined (another caller waits for the same), miss.',
      labelNames: ['result'],
      registers,
    });
    this.#errors = new Counter({
      name: 'rtvoice_tts_cache_errors_total',
      help: 'Redis errors of the phrase cache, by operation.',
      labelNames: ['op'],
      registers,
    });
    const memory = this.#memory;
    new Gauge({
      name: 'rtvoice_tts_cache_memory_bytes',
      help: 'PCM kept in this process.',
      registers,
      collect() {
        this.set(memory.bytes);
      },
    });
  }

  /**
   * Audio of a phrase; `synthesize` runs once however many wait for it, and its failure reaches all of them and is not remembered.
   * The array is shared between callers: read only.
   */
  get(request: PhraseRequest, synthesize: () => Promise<Int16Array>): Promise<Int16Array> {
    const hash = phraseHash(request);
    const known = this.#memory.get(hash);
    if (known) {
      this.#lookups.inc({ result: 'memory' });
      return Promise.resolve(known);
    }
    const running = this.#inFlight.get(hash);
    if (running) {
      this.#lookups.inc({ result: 'joined' });
      return running;
    }
    const found = this.#find(hash, request, synthesize).finally(() => this.#inFlight.delete(hash));
    this.#inFlight.set(hash, found);
    return found;
  }

  async #find(hash: string, request: PhraseRequest, synthesize: () => Promise<Int16Array>): Promise<Int16Array> {
    const stored = await this.#read(hash, request.sampleRateHertz);
    this.#lookups.inc({ result: stored ? 'redis' : 'miss' });
    const pcm = stored ?? (await synthesize());
    if (pcm.byteLength > this.#maxPhraseBytes) return pcm;
    this.#memory.set(hash, pcm);
    // Not awaited: the caller is waiting for sound.
    if (!stored) void this.#write(hash, pcm, request.sampleRateHertz);
    return pcm;
  }

  async #read(hash: string, sampleRateHertz: number): Promise<Int16Array | undefined> {
    const { redis, keys } = this.#options;
    if (!redis.available) return undefined;
    try {
      const record = await redis.commandBuffer<Buffer | null>('GET', keys.ttsKey(hash));
      return record ? decodePcm(record, sampleRateHertz) : undefined;
    } catch (error) {
      this.#failed('read', error);
      return undefined;
    }
  }

  async #write(hash: string, pcm: Int16Array, sampleRateHertz: number): Promise<void> {
    const { redis, keys, mayWrite } = this.#options;
    if (!redis.available || mayWrite?.() === false) return;
    try {
      await redis.command('SET', keys.ttsKey(hash), encodePcm(pcm, sampleRateHertz), 'EX', this.#ttlSeconds);
    } catch (error) {
      this.#failed('write', error);
    }
  }

  #failed(op: 'read' | 'write', error: unknown): void {
    this.#errors.inc({ op });
    this.#options.log.debug({ op, code: errorCode(error) }, 'the phrase cache goes on without Redis');
  }
}

/** Of everything that changes the sound. The text itself never stands in a key. */
export function phraseHash({ voice, sampleRateHertz, rate = 1, text }: PhraseRequest): string {
  return createHash('sha256')
    .update(JSON.stringify([KEY_VERSION, voice, sampleRateHertz, rate, text]))
    .digest('hex');
}
