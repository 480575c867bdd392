import type { Clock, Timer } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { RedisClient } from '../../state/redis/client.ts';
import { type RedisFigures, readRedisFigures } from '../../state/redis/figures.ts';
import type { TierMetrics } from './metrics.ts';

export type TierSample =
  | { readonly kind: 'known'; readonly figures: RedisFigures; readonly observedAtMs: number }
  /** Redis was asked and did not answer, or was not asked yet. */
  | { readonly kind: 'missing'; readonly reason: string };

export interface SamplerOptions {
  readonly client: Pick<RedisClient, 'command'>;
  /** Host and port, for metrics. */
  readonly redis: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: TierMetrics;
}

const PERIOD_MS = 10_000;
const NOT_ASKED: TierSample = { kind: 'missing', reason: 'it was not asked yet' };

/** Asks one Redis for its figures again and again, for every pool that uses it. A slow one is not asked a second time meanwhile. */
export class TierSampler {
  readonly #options: SamplerOptions;
  readonly #listeners = new Set<(sample: TierSample) => void>();
  #newest: TierSample = NOT_ASKED;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: SamplerOptions) {
    this.#options = options;
    this.#plan(0);
  }

  get newest(): TierSample {
    return this.#newest;
  }

  /** Called with each reading; gives what ends it. */
  subscribe(listener: (sample: TierSample) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  sample(): Promise<void> {
    this.#running ??= this.#read().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#options.metrics.forgetServer(this.#options.redis);
  }

  #plan(delayMs: number): void {
    this.#timer = this.#options.clock.after(delayMs, () => {
      // Jitter: a hundred servers must not be asked in the same instant for ever.
      this.#plan(PERIOD_MS * (0.9 + this.#options.random.fraction() / 5));
      void this.sample();
    });
  }

  async #read(): Promise<void> {
    const { client, redis, clock, log, metrics } = this.#options;
    const observedAtMs = clock.monotonicMs();
    let sample: TierSample;
    try {
      sample = { kind: 'known', figures: await readRedisFigures(client), observedAtMs };
    } catch (error) {
      log.debug({ redis, code: errorCode(error) }, 'the figures of Redis cannot be read');
      sample = { kind: 'missing', reason: `it does not answer (${errorCode(error)})` };
    }
    if (this.#closed) return;
    this.#newest = sample;
    metrics.setServer(redis, sample.kind === 'known' ? sample.figures : undefined);
    for (const listener of this.#listeners) listener(sample);
  }
}
