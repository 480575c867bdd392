import { EventEmitter } from 'node:events';
import { Redis } from 'ioredis';
import type { Clock, Timer } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import { type Random, systemRandom } from '../../platform/random.ts';
import { isRedisAway, REDIS_OVERLOADED, REDIS_TIMEOUT, REDIS_UNAVAILABLE, redisError } from './errors.ts';
import { type RedisMetrics, redisMetrics } from './metrics.ts';
import { clientOptions, type RedisRole, ROLE_LIMITS, type RoleLimits } from './options.ts';
import type { Script } from './script.ts';

export interface RedisClientOptions {
  url: string;
  role: RedisRole;
  clock: Clock;
  log: Log;
  registry: Registry;
  random?: Random;
  /** PEM text of the authority that signed the server's certificate, for `rediss://`. */
  tlsCa?: string;
  /** Shows in CLIENT LIST. */
  name?: string;
  limits?: Partial<RoleLimits>;
}

export type Argument = string | number | Buffer;
type Sender = (...args: Argument[]) => Promise<unknown>;

const PING_PERIOD_MS = 1000;

/** One connection to Redis. Every command has a time limit and fails with a named error; `up` and `down` tell when Redis comes and goes. */
export class RedisClient extends EventEmitter<{ up: []; down: [] }> {
  readonly role: RedisRole;
  readonly metrics: RedisMetrics;
  readonly maxInFlight: number;
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #senders = new Map<string, Sender>();
  readonly #scripts = new Map<string, number>();
  readonly #pinger: Timer;
  #available = false;
  #closed = false;
  #inFlight = 0;
  #gathering = false;
  #lastGoodMs: number;

  constructor(options: RedisClientOptions) {
    super();
    const limits = { ...ROLE_LIMITS[options.role], ...options.limits };
    this.role = options.role;
    this.maxInFlight = limits.maxInFlight;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#lastGoodMs = options.clock.monotonicMs();
    this.metrics = redisMetrics(options.registry);
    this.metrics.watch(this);
    this.#redis = new Redis(
      options.url,
      clientOptions({
        role: options.role,
        limits,
        random: options.random ?? systemRandom,
        connectionName: options.name ?? `rtvoice-${options.role}`,
        tls: { secure: options.url.startsWith('rediss:'), ...(options.tlsCa ? { ca: options.tlsCa } : {}) },
      }),
    );
    this.#redis.on('ready', () => void this.#ping());
    this.#redis.on('close', () => this.#lose('connection closed'));
    // Without a listener ioredis would print; the cause is in the errors of the commands.
    this.#redis.on('error', (error) => this.#log.debug({ err: error }, 'Redis connection error'));
    this.#pinger = this.#clock.every(PING_PERIOD_MS, () => void this.#ping());
    this.#redis.connect().catch((error) => this.#log.debug({ err: error }, 'first Redis connection failed; trying on'));
  }

  /** True from a good reply until a lost connection or an unanswered command. */
  get available(): boolean {
    return this.#available;
  }

  /** Milliseconds since the last good reply while unavailable, else 0. */
  get unavailableForMs(): number {
    return this.#available ? 0 : Math.max(0, this.#clock.monotonicMs() - this.#lastGoodMs);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Resolves once Redis has answered; rejects with ERR_REDIS_UNAVAILABLE after `timeoutMs`. */
  ready(timeoutMs = 5000): Promise<void> {
    if (this.#available) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        this.off('up', onUp);
        timer.cancel();
        act();
      };
      const onUp = () => settle(resolve);
      const timer = this.#clock.after(timeoutMs, () =>
        settle(() => reject(REDIS_UNAVAILABLE.with('first connection'))),
      );
      this.on('up', onUp);
    });
  }

  /** Runs a script with its declared keys; replies as text. The client loads it again after the server has forgotten it. */
  run<T>(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<T> {
    return this.#send<T>(script.name, this.#scriptSender(script, ''), [...keys, ...args]);
  }

  /** As `run`, with every text of the reply as a Buffer. */
  runBuffer<T>(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<T> {
    return this.#send<T>(script.name, this.#scriptSender(script, 'Buffer'), [...keys, ...args]);
  }

  /** One command by its name, for example `command('GET', key)`. */
  command<T>(name: string, ...args: Argument[]): Promise<T> {
    return this.#send<T>(name.toLowerCase(), this.#commandSender(name, ''), args);
  }

  /** As `command`, with every text of the reply as a Buffer. */
  commandBuffer<T>(name: string, ...args: Argument[]): Promise<T> {
    return this.#send<T>(name.toLowerCase(), this.#commandSender(name, 'Buffer'), args);
  }

  /** Closes at once; commands in flight fail. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#pinger.cancel();
    this.metrics.unwatch(this);
    this.#redis.disconnect();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #send<T>(op: string, sender: Sender, args: readonly Argument[]): Promise<T> {
    if (this.#inFlight >= this.maxInFlight) throw REDIS_OVERLOADED.with(op);
    const startMs = this.#clock.monotonicMs();
    this.#inFlight += 1;
    this.#gather();
    try {
      const reply = await sender(...args);
      this.#answered();
      this.metrics.observe(op, 'ok', (this.#lastGoodMs - startMs) / 1000);
      return reply as T;
    } catch (cause) {
      const error = redisError(op, cause);
      const away = isRedisAway(error);
      const result = !away ? 'error' : error.code === REDIS_TIMEOUT.code ? 'timeout' : 'unavailable';
      this.metrics.observe(op, result, (this.#clock.monotonicMs() - startMs) / 1000);
      if (away) this.#lose(error.code);
      else this.#answered();
      throw error;
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** Commands that are sent in one turn leave in one write: each write of its own costs more than what is in it. */
  #gather(): void {
    const { stream } = this.#redis;
    if (this.#gathering || !stream) return;
    this.#gathering = true;
    stream.cork();
    process.nextTick(() => {
      this.#gathering = false;
      stream.uncork();
    });
  }

  /** Told apart by their text: pools on one connection may have other times written into a script of the same name. */
  #scriptSender({ name, keys, lua }: Script, suffix: '' | 'Buffer'): Sender {
    const id = `script ${suffix} ${lua}`;
    const known = this.#senders.get(id);
    if (known) return known;
    const number = this.#scripts.get(lua) ?? this.#scripts.size;
    this.#scripts.set(lua, number);
    const command = `rtvoice_${name}_${number}`;
    this.#redis.defineCommand(command, { numberOfKeys: keys.length, lua });
    return this.#remember(id, `${command}${suffix}`);
  }

  #commandSender(name: string, suffix: '' | 'Buffer'): Sender {
    const id = `${name}${suffix}`;
    return this.#senders.get(id) ?? this.#remember(id, `${name.toLowerCase()}${suffix}`);
  }

  #remember(id: string, method: string): Sender {
    const found = (this.#redis as unknown as Record<string, Sender | undefined>)[method];
    if (typeof found !== 'function') throw new Error(`ioredis has no command ${method}`);
    const sender = found.bind(this.#redis);
    this.#senders.set(id, sender);
    return sender;
  }

  async #ping(): Promise<void> {
    // A patient client queues while it is disconnected: a queued ping would say nothing.
    if (this.#closed || this.#redis.status !== 'ready') return;
    await this.command('PING').catch((error) => this.#log.debug({ err: error }, 'Redis ping failed'));
  }

  #answered(): void {
    this.#lastGoodMs = this.#clock.monotonicMs();
    if (this.#available || this.#closed) return;
    this.#available = true;
    this.#log.info({ role: this.role }, 'Redis is available');
    this.emit('up');
  }

  #lose(reason: string): void {
    if (!this.#available) return;
    this.#available = false;
    if (!this.#closed) this.#log.warn({ role: this.role, reason }, 'Redis is unavailable');
    this.emit('down');
  }
}
