import { Counter, Gauge, Histogram, type Registry, STORE_LATENCY_BUCKETS } from '../../platform/metrics.ts';
import type { BreakerState } from './breaker.ts';
import { ConnectionMetrics } from './connection_metrics.ts';
import type { RedisRole } from './options.ts';

export type CommandResult = 'ok' | 'error' | 'timeout' | 'unavailable';

/** What the gauges read when they are scraped. */
export interface GaugeSource {
  readonly unavailableForMs: number;
  readonly inFlight: number;
  readonly maxInFlight: number;
  readonly role: RedisRole;
  readonly breakerStates: readonly BreakerState[];
  readonly protocols: readonly string[];
}

/** The Redis series of one process, shared by all its clients. */
export class RedisMetrics {
  readonly #duration: Histogram<'op'>;
  readonly #commands: Counter<'op' | 'result'>;
  readonly #keysCreated: Counter<'data_type'>;
  readonly #sources = new Set<GaugeSource>();
  readonly #timers = new Map<string, { observe(seconds: number): void }>();
  readonly #counters = new Map<string, { inc(): void }>();
  readonly #created = new Map<string, { inc(count: number): void }>();
  readonly #connections: ConnectionMetrics;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#duration = new Histogram({
      name: 'rtvoice_redis_command_duration_seconds',
      help: 'Time from sending a Redis command or script to its reply, by operation.',
      labelNames: ['op'],
      buckets: STORE_LATENCY_BUCKETS,
      registers,
    });
    this.#commands = new Counter({
      name: 'rtvoice_redis_commands_total',
      help: 'Redis commands and scripts, by operation and result.',
      labelNames: ['op', 'result'],
      registers,
    });
    this.#keysCreated = new Counter({
      name: 'rtvoice_redis_keys_created_total',
      help: 'Keys and index entries that were created in Redis, by data type.',
      labelNames: ['data_type'],
      registers,
    });
    const sources = this.#sources;
    const gauge = (
      name: string,
      help: string,
      read: (source: GaugeSource) => number,
      join: (values: number[]) => number,
    ) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(join([...sources].map(read)));
        },
      });
    const largest = (values: number[]) => Math.max(0, ...values);
    const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
    gauge(
      'rtvoice_redis_unavailable_seconds',
      'Seconds since the last good reply of Redis while it is unavailable, else 0.',
      (source) => source.unavailableForMs / 1000,
      largest,
    );
    this.#connections = new ConnectionMetrics(registry, this.#sources);
    gauge('rtvoice_redis_pool_in_use', 'Redis commands in flight.', (source) => source.inFlight, sum);
    gauge('rtvoice_redis_pool_size', 'Redis commands that may be in flight.', (source) => source.maxInFlight, sum);
  }

  watch(source: GaugeSource): void {
    this.#sources.add(source);
  }

  unwatch(source: GaugeSource): void {
    this.#sources.delete(source);
  }

  observe(op: string, result: CommandResult, seconds: number): void {
    // Looking the labelled series up costs more than the observation itself.
    remembered(this.#timers, op, () => this.#duration.labels(op)).observe(seconds);
    remembered(this.#counters, `${op} ${result}`, () => this.#commands.labels(op, result)).inc();
  }

  /** AUTH with a new credential on a live connection. */
  authenticated(result: 'ok' | 'failed'): void {
    this.#connections.authenticated(result);
  }

  keyCreated(dataType: string, count = 1): void {
    remembered(this.#created, dataType, () => this.#keysCreated.labels(dataType)).inc(count);
  }
}

const perRegistry = new WeakMap<Registry, RedisMetrics>();

/** The clients of one process share their series: a registry takes each name once. */
export function redisMetrics(registry: Registry): RedisMetrics {
  return remembered(perRegistry, registry, () => new RedisMetrics(registry));
}

function remembered<K, V>(
  map: { get(key: K): V | undefined; set(key: K, value: V): unknown },
  key: K,
  make: () => V,
): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
