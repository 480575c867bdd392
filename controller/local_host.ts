import type { PoolRef } from '../contract/ids.ts';
import type { VoiceWorkerPool } from '../contract/pool.ts';
import { checkPool } from '../contract/pool_check.ts';
import { fieldName } from '../contract/pool_faults.ts';
import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { LeaseTable } from '../state/ports.ts';
import type { RedisClient } from '../state/redis/client.ts';
import type { PoolNote } from './pool/pool_note.ts';
import {
  NOTHING_REMEMBERED,
  type PoolEvent,
  type PoolHost,
  type PoolLinks,
  type PoolObject,
  type Remembered,
} from './pool/ports.ts';
import type { PoolStatus } from './pool/status.ts';
import type { RedisTier } from './redis_tier/tier.ts';
import type { RedisTiers } from './redis_tier/tiers.ts';
import { readJson, writeDurably } from './runtime/durable_file.ts';
import type { LocalProcesses } from './runtime/local_processes.ts';
import type { StateFolder } from './runtime/state_folder.ts';
import { FigureReader } from './sources/figure_reader.ts';
import { ScrapedSource } from './sources/scraped_source.ts';
import type { WorkerCommands } from './worker_commands.ts';

export interface LocalHostOptions {
  readonly namespace: string;
  readonly folder: StateFolder;
  readonly runtime: LocalProcesses;
  readonly tiers: RedisTiers;
  readonly redis: { readonly id: string; readonly address: string; readonly client: RedisClient };
  /** Where keys are looked up that a pool's document names. */
  readonly env: NodeJS.ProcessEnv;
  readonly leasesOf: (pool: VoiceWorkerPool, namespace: string) => LeaseTable;
  readonly internalKey: string;
  readonly commands: WorkerCommands;
  readonly clock: Clock;
  readonly log: Log;
}

interface Opened {
  readonly links: PoolLinks;
  /** `spec.redis` as the tier knows it. */
  readonly redisText: string;
  readonly close: () => Promise<void>;
}

const READ_PERIOD_MS = 1_000;

/** Pools as notes in the state folder: local mode's API server. */
export class LocalHost implements PoolHost {
  readonly #options: LocalHostOptions;
  readonly #notes = new Map<string, PoolNote>();
  readonly #opened = new Map<string, Opened>();
  /** After each reading of a pool's figures. */
  onFigures: ((ref: PoolRef) => void) | undefined;

  constructor(options: LocalHostOptions) {
    this.#options = options;
  }

  /** The pools known from before. */
  load(): PoolRef[] {
    const { folder, log, namespace } = this.#options;
    return folder.names('pools').flatMap((pool) => {
      const note = readJson<PoolNote>(folder.pool(pool));
      if (!note) {
        log.error({ pool }, 'the note of a pool is not readable; its workers are left alone');
        return [];
      }
      // An older version wrote it, perhaps: what has been added since stands at its default.
      const faults = checkPool(note.document);
      if (faults.length > 0) {
        const fields = faults.map(({ path, text }) => `${fieldName(path)} ${text}`);
        log.error({ pool, faults: fields }, 'the note of a pool is not valid any more; its workers are left alone');
        return [];
      }
      this.#notes.set(pool, note);
      return [{ namespace, pool }];
    });
  }

  note(pool: string): PoolNote | undefined {
    return this.#notes.get(pool);
  }

  notes(): ReadonlyMap<string, PoolNote> {
    return this.#notes;
  }

  save(pool: string, note: PoolNote): void {
    this.#notes.set(pool, note);
    writeDurably(this.#options.folder.pool(pool), JSON.stringify(note, null, 2));
  }

  get({ namespace, pool }: PoolRef): PoolObject | undefined {
    const note = this.#notes.get(pool);
    if (!note || namespace !== this.#options.namespace) return undefined;
    return {
      ref: { namespace, pool },
      uid: undefined,
      document: note.document,
      generation: note.generation,
      deleting: false,
      replicas: note.requestedReplicas ?? note.document.spec.replicas,
      replicasManager: 'rtvoice',
      remembered: note.remembered ?? NOTHING_REMEMBERED,
      redisActuation: note.redisActuation,
    };
  }

  async prepare(pool: PoolObject): Promise<{ links: PoolLinks; findings: readonly [] }> {
    return { links: (await this.#open(pool)).links, findings: [] };
  }

  async keepRevision(pool: PoolObject, revision: string, inUse: ReadonlySet<string>): Promise<void> {
    this.#options.folder.keepRevision(pool.ref.pool, revision, pool.document, inUse);
  }

  async report(pool: PoolObject, _status: PoolStatus, remembered: Remembered): Promise<void> {
    const note = this.#notes.get(pool.ref.pool);
    if (!note || JSON.stringify(note.remembered) === JSON.stringify(remembered)) return;
    this.save(pool.ref.pool, { ...note, remembered });
  }

  event({ ref }: PoolObject, { type, reason, message }: PoolEvent): void {
    const level = type === 'Warning' ? 'warn' : 'debug';
    this.#options.log[level]({ pool: ref.pool, reason, message }, 'pool event');
  }

  /** Local pools are not deleted. */
  finish(): Promise<void> {
    return Promise.resolve();
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#opened.values()].map(({ close }) => close()));
  }

  async #open(pool: PoolObject): Promise<Opened> {
    const { ref, document } = pool;
    const redisText = JSON.stringify(document.spec.redis);
    const known = this.#opened.get(ref.pool);
    if (known?.redisText === redisText) return known;
    await known?.close();
    const { leasesOf, clock, internalKey, runtime, commands } = this.#options;
    const leases = leasesOf(document, ref.namespace);
    const telemetry = new ScrapedSource({ clock, internalKey, leases });
    const reader = new FigureReader({
      source: telemetry,
      workers: () => runtime.list(ref),
      schedule: (work) => clock.every(READ_PERIOD_MS, work),
      onRead: () => this.onFigures?.(ref),
    });
    const redisTier = this.#tier(pool);
    const opened: Opened = {
      links: { leases, telemetry, commands, redisTier, periodMs: READ_PERIOD_MS },
      redisText,
      close: async () => void (await Promise.all([reader.close(), redisTier.close()])),
    };
    this.#opened.set(ref.pool, opened);
    void reader.read();
    return opened;
  }

  #tier(pool: PoolObject): RedisTier {
    const { tiers, redis, env } = this.#options;
    const secret = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value ?? '']));
    return tiers.open({
      ...{
        pool: pool.ref,
        spec: pool.document.spec.redis,
        redisId: redis.id,
        redisAddress: redis.address,
        client: redis.client,
        secret,
      },
      remembered: pool.redisActuation,
      persist: async (redisActuation) => {
        const note = this.#notes.get(pool.ref.pool);
        if (note) this.save(pool.ref.pool, { ...note, redisActuation });
      },
      onEvent: (event) => this.event(pool, event),
    });
  }
}
