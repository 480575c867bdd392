import type { TokenCredential } from '@azure/identity';
import type { PoolRef } from '../../contract/ids.ts';
import type { PoolSpec } from '../../contract/pool.ts';
import { type Clock, sleep } from '../../platform/clock.ts';
import { type Config, loadConfig } from '../../platform/config.ts';
import { RtvoiceError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import type { Random } from '../../platform/random.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../../state/leases/lease_table.ts';
import { openRedisAccess, type RedisAccess } from '../../state/redis/access.ts';
import { RedisClient } from '../../state/redis/client.ts';
import { REDIS_SETTINGS } from '../../state/redis/settings.ts';
import { addressText } from '../../state/redis/target.ts';
import type { KubeClient } from '../kube/client.ts';
import { SECRETS } from '../kube/resources.ts';
import type { PoolEvent, PoolLinks, PoolObject } from '../pool/ports.ts';
import type { ActuationRecord } from '../redis_tier/ports.ts';
import type { RedisTier } from '../redis_tier/tier.ts';
import type { RedisTiers } from '../redis_tier/tiers.ts';
import type { WorkerRuntime } from '../runtime/ports.ts';
import { FigureReader, type FigureSource } from '../sources/figure_reader.ts';
import { HeartbeatSource } from '../sources/heartbeat_source.ts';
import { Pacer } from '../sources/pacer.ts';
import { PrometheusSource } from '../sources/prometheus_source.ts';
import { Rota } from '../sources/rota.ts';
import { ScrapedSource } from '../sources/scraped_source.ts';
import { WorkerCommands } from '../worker_commands.ts';

export interface LinksOptions {
  readonly client: Pick<KubeClient, 'get'>;
  readonly runtime: WorkerRuntime;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who this controller is in Entra ID, for a Redis that asks for it. */
  readonly tokenCredential: () => Promise<TokenCredential>;
  /** After each reading of a pool's figures. */
  readonly onFigures: (ref: PoolRef) => void;
  readonly tiers: RedisTiers;
  /** Keeps what the actuator of a pool's Redis was asked; resolves once a controller that starts now would read it. */
  readonly keepActuation: (pool: PoolObject, record: ActuationRecord) => Promise<void>;
  readonly onEvent: (pool: PoolObject, event: PoolEvent) => void;
}

export interface PoolSecret {
  /** Every key of it, decoded. */
  readonly data: Readonly<Record<string, string>>;
  readonly redis: Config<typeof REDIS_SETTINGS>;
  readonly internalKey: string;
}

/** What is wrong with the pool's Secret, for people. */
export interface SecretFault {
  readonly reason: 'SecretMissing' | 'SecretIncomplete' | 'SecretInvalid';
  readonly message: string;
}

interface Opened {
  readonly fingerprint: string;
  readonly links: PoolLinks;
  /** Redis and workers have told of themselves, or their time for that is over: a new leader must not take for lost what it has not asked yet. */
  readonly answered: Promise<void>;
  readonly close: () => Promise<void>;
}

/** One Redis server, for all pools that use it. */
interface SharedRedis {
  readonly id: string;
  readonly access: RedisAccess;
  readonly client: RedisClient;
  readonly pacer: Pacer;
  readonly answered: Promise<void>;
}

interface Sharing {
  readonly shared: Promise<SharedRedis>;
  users: number;
}

/** A Secret is read again after this: its keys are rotated, and watching every Secret would need the right to read them all. */
const READ_AGAIN_MS = 600_000;
/** While something is missing a person waits for the controller to see it. */
const RETRY_MS = 5_000;
/** Pools of one Redis whose heartbeats are read at the same time. */
const READS_AT_ONCE = 32;
const REDIS_KEY = 'RTVOICE_REDIS_URL';
const INTERNAL_KEY = 'RTVOICE_INTERNAL_KEYS';
/** A first pass waits this long, once for all pools of a Redis that does not answer. */
const FIRST_ANSWER_MS = 2_000;
const PERIODS_MS = { Metrics: 2_000, Heartbeat: 5_000, Prometheus: 5_000 } as const;

/** The connections of each pool: its Secret says where Redis is and which key its workers take. Pools with the same Redis share one client. */
export class Links {
  readonly #options: LinksOptions;
  readonly #opened = new Map<string, Opened>();
  readonly #secrets = new Map<string, { name: string; untilMs: number; value: PoolSecret | SecretFault }>();
  readonly #clients = new Map<string, Sharing>();
  readonly #rota: Rota;

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#rota = new Rota(options.clock);
  }

  /** The same links again until something of them changes. Throws when the API server does not answer. */
  async of(pool: PoolObject): Promise<PoolLinks | SecretFault> {
    const secret = await this.#secret(pool);
    if ('reason' in secret) return secret;
    const { spec } = pool.document;
    const key = `${pool.ref.namespace}/${pool.ref.pool}`;
    const fingerprint = JSON.stringify([
      secret,
      pool.uid,
      spec.environment,
      spec.redis,
      spec.scaling.source,
      spec.scaling.prometheus,
    ]);
    const known = this.#opened.get(key);
    if (known?.fingerprint === fingerprint) return known.links;
    const redis = await this.#redis(secret.redis);
    if ('reason' in redis) return redis;
    const opened = this.#open(pool, { secret, redis }, fingerprint);
    this.#opened.set(key, opened);
    await known?.close();
    await opened.answered;
    return opened.links;
  }

  async forget(ref: PoolRef): Promise<void> {
    const key = `${ref.namespace}/${ref.pool}`;
    const opened = this.#opened.get(key);
    this.#opened.delete(key);
    this.#secrets.delete(key);
    await opened?.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#opened.values()].map((opened) => opened.close()));
    this.#opened.clear();
  }

  async #secret({ ref, document }: PoolObject): Promise<PoolSecret | SecretFault> {
    const nowMs = this.#options.clock.monotonicMs();
    const { secretName } = document.spec;
    const key = `${ref.namespace}/${ref.pool}`;
    const known = this.#secrets.get(key);
    if (known?.name === secretName && nowMs < known.untilMs) return known.value;
    const secret = await this.#options.client.get(SECRETS, { namespace: ref.namespace, name: secretName });
    const value = secret ? readSecret(secretName, secret.data ?? {}) : missing(ref, secretName);
    // Jitter: a thousand pools must not read theirs in the same second for ever.
    const periodMs = 'reason' in value ? RETRY_MS : READ_AGAIN_MS * (0.75 + this.#options.random.fraction() / 2);
    this.#secrets.set(key, { name: secretName, untilMs: nowMs + periodMs, value });
    return value;
  }

  #open(pool: PoolObject, parts: { secret: PoolSecret; redis: SharedRedis }, fingerprint: string): Opened {
    const { secret, redis } = parts;
    const { clock, log, runtime, onFigures } = this.#options;
    const { ref, document } = pool;
    const { spec } = document;
    const { client, pacer, answered, access } = redis;
    const { layout } = access;
    const redisTier = this.#tier(pool, secret, redis);
    const leases = new RedisLeaseTable({
      client,
      keys: new RedisKeyManager({ environment: spec.environment, appPrefix: spec.redis.keyPrefix, layout }),
      pool: ref,
      times: { affinityMs: spec.redis.affinitySeconds * 1000 },
    });
    const onIncarnation = (worker: string, incarnation: string) => runtime.learn({ id: worker, ref }, incarnation);
    const { internalKey } = secret;
    const telemetry =
      spec.scaling.source !== 'Metrics'
        ? new HeartbeatSource({ leases, pacer, clock, log, onIncarnation })
        : new ScrapedSource({ clock, internalKey, leases, onIncarnation });
    const prometheus = this.#prometheus(spec, secret);
    const commands = new WorkerCommands(secret.internalKey, log);
    const periodMs = PERIODS_MS[spec.scaling.source];
    const reader = new FigureReader({
      source: prometheus ? both(telemetry, prometheus) : telemetry,
      workers: () => runtime.list(ref),
      schedule: (work) => this.#rota.every(periodMs, work),
      onRead: () => onFigures(ref),
    });
    return {
      fingerprint,
      answered: answered.then(() => Promise.race([reader.read(), sleep(clock, FIRST_ANSWER_MS)])),
      links: {
        ...{ leases, telemetry, commands, periodMs, redisTier, pulse: () => reader.pulse },
        ...(prometheus ? { offered: () => prometheus.newest } : {}),
      },
      close: async () => {
        await Promise.all([reader.close(), commands.close(), redisTier.close()]);
        await this.#release(redis);
      },
    };
  }

  #tier(pool: PoolObject, { data }: PoolSecret, { id, client, access }: SharedRedis): RedisTier {
    const { tiers, keepActuation, onEvent } = this.#options;
    return tiers.open({
      ...{ pool: pool.ref, spec: pool.document.spec.redis, client, secret: data },
      ...{ redisId: id, redisAddress: addressText(access.target.nodes[0]) },
      remembered: pool.redisActuation,
      persist: (record) => keepActuation(pool, record),
      onEvent: (event) => onEvent(pool, event),
    });
  }

  #prometheus({ scaling }: PoolSpec, { data }: PoolSecret): PrometheusSource | undefined {
    if (scaling.source !== 'Prometheus' || !scaling.prometheus) return undefined;
    const { bearerTokenKey } = scaling.prometheus;
    const token = bearerTokenKey === undefined ? undefined : data[bearerTokenKey];
    return new PrometheusSource({ settings: scaling.prometheus, token, clock: this.#options.clock });
  }

  async #redis(config: PoolSecret['redis']): Promise<SharedRedis | SecretFault> {
    const id = JSON.stringify(config);
    const sharing = this.#clients.get(id) ?? { shared: this.#connect(id, config), users: 0 };
    this.#clients.set(id, sharing);
    sharing.users += 1;
    try {
      return await sharing.shared;
    } catch (error) {
      if (this.#clients.get(id) === sharing) this.#clients.delete(id);
      return invalid('the Redis of the pool', error);
    }
  }

  async #connect(id: string, config: PoolSecret['redis']): Promise<SharedRedis> {
    const { clock, log, registry, random, tokenCredential } = this.#options;
    const access = await openRedisAccess({ config, clock, log, registry, random, tokenCredential });
    const { layout: _layout, ...reached } = access;
    const common = { ...reached, clock, log, registry, random };
    const client = new RedisClient({ ...common, role: 'fastFail', name: 'rtvoice-controller' });
    const answered = client.ready(FIRST_ANSWER_MS).catch(() => undefined);
    return { id, access, client, pacer: new Pacer(READS_AT_ONCE), answered };
  }

  async #release({ id, client, access }: SharedRedis): Promise<void> {
    const sharing = this.#clients.get(id);
    if (!sharing || --sharing.users > 0) return;
    this.#clients.delete(id);
    await client.close();
    access.credentials.close();
  }
}

function missing(ref: PoolRef, name: string): SecretFault {
  return {
    reason: 'SecretMissing',
    message: `there is no Secret ${ref.namespace}/${name}; make it with the settings of the workers as its keys, or name another one in spec.secretName`,
  };
}

/** `data`: base64, as the API server gives it. */
function readSecret(name: string, data: Readonly<Record<string, string>>): PoolSecret | SecretFault {
  const decoded = Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8').trim()]),
  );
  const text = (key: string) => decoded[key] ?? '';
  const lacking = [REDIS_KEY, INTERNAL_KEY].filter((key) => text(key) === '');
  if (lacking.length > 0) {
    return { reason: 'SecretIncomplete', message: `the Secret ${name} has no ${lacking.join(' and no ')}` };
  }
  const internalKey = text(INTERNAL_KEY).split(',')[0]?.trim() ?? '';
  try {
    return { data: decoded, redis: loadConfig(REDIS_SETTINGS, decoded), internalKey };
  } catch (error) {
    return invalid(`the Secret ${name}`, error);
  }
}

/** An error of ours names the field and never its value. */
function invalid(what: string, error: unknown): SecretFault {
  if (!(error instanceof RtvoiceError)) throw error;
  return { reason: 'SecretInvalid', message: `${what} is not valid: ${error.message}. ${error.remedy}` };
}

/** Both are read at once, and a pass follows when both have answered. */
function both(figures: FigureSource, offered: PrometheusSource): FigureSource {
  return {
    refresh: async (targets) => (await Promise.all([figures.refresh(targets), offered.refresh()]))[0],
    close: async () => void (await Promise.all([figures.close(), offered.close()])),
  };
}
