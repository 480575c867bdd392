import type { Clock, Timer } from '../platform/clock.ts';
import { errorCode } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import { Gauge, type Registry } from '../platform/metrics.ts';
import type { RedisClient } from '../state/redis/client.ts';
import { memoryPercent, readRedisFigures } from '../state/redis/figures.ts';

/** What is given up while Redis runs out of memory, in this order. */
export type PressureLevel = 'none' | 'cache' | 'calls';

/** A level ends this far below its mark. */
const HYSTERESIS_POINTS = 2;
const SAMPLE_MS = 5_000;
const LEVELS: readonly PressureLevel[] = ['none', 'cache', 'calls'];

/** Pure: the level that follows from the share of the memory limit and the level before. */
export function pressureLevel(
  percent: number | undefined,
  before: PressureLevel,
  marks: { ttsCachePercent: number; callsPercent: number },
): PressureLevel {
  // Without a limit nothing can run out that could be told.
  if (percent === undefined) return 'none';
  const stays = (level: PressureLevel) => LEVELS.indexOf(before) >= LEVELS.indexOf(level);
  const above = (mark: number, level: PressureLevel) => percent > (stays(level) ? mark - HYSTERESIS_POINTS : mark);
  if (above(marks.callsPercent, 'calls')) return 'calls';
  return above(marks.ttsCachePercent, 'cache') ? 'cache' : 'none';
}

export interface PressureOptions {
  readonly client: Pick<RedisClient, 'command'>;
  readonly marks: () => { ttsCachePercent: number; callsPercent: number };
  readonly clock: Clock;
  readonly log: Log;
  readonly registry: Registry;
}

/** Watches the memory of Redis from a worker: synthesised speech is not cached any more above one mark, new calls are refused above another. */
export class RedisPressure {
  readonly #options: PressureOptions;
  #timer: Timer | undefined;
  #level: PressureLevel = 'none';

  constructor(options: PressureOptions) {
    this.#options = options;
    const level = () => LEVELS.indexOf(this.#level);
    new Gauge({
      name: 'rtvoice_redis_pressure',
      help: '0: none, 1: no speech is cached, 2: new calls are refused, since Redis runs out of memory.',
      registers: [options.registry],
      collect() {
        this.set(level());
      },
    });
  }

  get level(): PressureLevel {
    return this.#level;
  }

  start(): void {
    this.#timer = this.#options.clock.every(SAMPLE_MS, () => void this.sample());
    void this.sample();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  async sample(): Promise<void> {
    const { client, marks, log } = this.#options;
    try {
      const percent = memoryPercent(await readRedisFigures(client));
      const level = pressureLevel(percent, this.#level, marks());
      if (level !== this.#level)
        log.warn({ before: this.#level, level, percent }, 'the memory of Redis has changed its level');
      this.#level = level;
    } catch (error) {
      // What holds while Redis is away is decided elsewhere; the level stays.
      log.debug({ code: errorCode(error) }, 'the memory of Redis cannot be read');
    }
  }
}
