import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry, type Registry } from '../../platform/metrics.ts';
import { type BlindIndex, createBlindIndex } from '../../security/sealing/blind_index.ts';
import { type KeyUnwrapper, TenantKeyRing } from '../../security/sealing/keys.ts';
import { type RingEntry, writeKeyRing } from '../../security/sealing/keys_file.ts';
import type { TenantKeys } from '../../security/sealing/wrapped_key.ts';
import { type CosmosSimulator, startCosmosSimulator } from '../../simulators/cosmos/server.ts';
import { ConversationManager } from '../../state/calls/conversation_manager.ts';
import { callKeys } from '../../state/calls/keys.ts';
import { RedisCallStore } from '../../state/calls/store.ts';
import { CALL_TTLS } from '../../state/calls/ttls.ts';
import { CosmosArchive } from '../../state/cosmos/archive.ts';
import { type CosmosDatabase, openCosmos } from '../../state/cosmos/client.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { CallDrain } from '../../state/outbox/call_drain.ts';
import { ArchiveMetrics } from '../../state/outbox/metrics.ts';
import { OutboxStream } from '../../state/outbox/stream.ts';
import type { RedisClient } from '../../state/redis/client.ts';
import { openTranscript } from '../../state/sealing/archived.ts';
import { CallerKeys } from '../../state/sealing/caller_keys.ts';
import { SealingCodec, type SealingMode } from '../../state/sealing/codec.ts';
import { CosmosCallerKeys } from '../../state/sealing/cosmos_caller_keys.ts';
import { SealingMetrics } from '../../state/sealing/metrics.ts';
import { RedisCallerKeys } from '../../state/sealing/redis_caller_keys.ts';
import { SealingArchive } from '../../state/sealing/sealing_archive.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { conversationOptions, newCallId, newClient } from './support.ts';
import { makeTls, type TestTls } from './tls.ts';

/** Of the Cosmos DB account. */
/** Of the callers' pseudonyms. */
export const INDEX_KEY = 'a key of the blind index';
export const MASTER_KEY = Buffer.from('a master key of the simulator').toString('base64');
const KEYS_TTL_MS = 3_600_000;

export interface SealingBench {
  tls: TestTls;
  redis: TestRedis;
  client: RedisClient;
  keys: RedisKeyManager;
  cosmos: CosmosSimulator;
  database: CosmosDatabase;
  blindIndex: BlindIndex;
  stores: { redis: RedisCallerKeys; cosmos: CosmosCallerKeys };
  ringPath: string;
  stop(): Promise<void>;
}

/** A key of the ring in clear. */
export function ringKey(id: string): RingEntry {
  return { id, key: randomBytes(32).toString('base64url') };
}

/** Redis, Cosmos DB and a ring of tenant keys with one key, `t1`. */
export async function startSealing(): Promise<SealingBench> {
  const [tls, redis] = await Promise.all([makeTls(), startRedis({ persist: true })]);
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-sealing-'));
  const ringPath = join(directory, 'ring.json');
  await writeKeyRing(ringPath, { v: 1, tenant: 'acme', keys: [ringKey('t1')] });
  const cosmos = await startCosmosSimulator({ tls, masterKey: MASTER_KEY });
  const database = openCosmos({
    endpoint: cosmos.endpoint,
    database: 'rtvoice',
    credential: { kind: 'key', key: MASTER_KEY },
    caPem: tls.caPem,
    requestTimeoutMs: 2_000,
  });
  await database.ensure();
  const client = newClient(redis, 'fastFail');
  await client.ready();
  const keys = new RedisKeyManager({ environment: 'test' });
  return {
    ...{ tls, redis, client, keys, cosmos, database, ringPath },
    blindIndex: createBlindIndex([INDEX_KEY]),
    stores: {
      redis: new RedisCallerKeys({ redis: client, keys, ttlMs: KEYS_TTL_MS }),
      cosmos: new CosmosCallerKeys(database.container('keys')),
    },
    stop: async () => {
      database.close();
      await client.close();
      await cosmos.stop();
      await redis[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface SealingWorker {
  tenantKeys: TenantKeys;
  keys: CallerKeys;
  codec: SealingCodec;
  store: RedisCallStore;
  archive: SealingArchive;
  registry: Registry;
  /** Moves a call's outbox to Cosmos DB. */
  drain(callConnectionId: string): ReturnType<CallDrain['run']>;
  /** Records that met an event of the codec. */
  counted(event: string): Promise<number>;
}

export interface WorkerSettings {
  mode?: SealingMode;
  clock?: Clock;
  unwrapper?: KeyUnwrapper;
  tenantKeys?: TenantKeys;
  ttlMs?: number;
  waitMs?: number;
}

/** What one process has: its own memory, on the bench's stores. */
export async function newWorker(bench: SealingBench, settings: WorkerSettings = {}): Promise<SealingWorker> {
  const { mode = 'On', clock = systemClock, unwrapper, ttlMs, waitMs = 2_000 } = settings;
  const registry = createRegistry({ processMetrics: false });
  const metrics = new SealingMetrics(registry);
  const shared = { clock, log: silentLog, metrics };
  const tenantKeys =
    settings.tenantKeys ??
    (await TenantKeyRing.open({
      ...{ path: bench.ringPath, clock, log: silentLog, recheckMs: 0, failureCooldownMs: 0 },
      ...(unwrapper ? { unwrapper } : {}),
      ...(ttlMs === undefined ? {} : { ttlMs }),
    }));
  const keys = new CallerKeys({ ...shared, tenantKeys, stores: [bench.stores.redis, bench.stores.cosmos], waitMs });
  const codec = new SealingCodec({ mode, keys, blindIndex: bench.blindIndex, clock, metrics });
  const cosmos = new CosmosArchive({ database: bench.database, codec: codec.forArchive() });
  const archive = new SealingArchive({ archive: cosmos, keys, mode, metrics });
  const redisKeys = callKeys(bench.keys);
  const stream = new OutboxStream({ redis: bench.client, keys: redisKeys, quarantineTtlMs: 60_000 });
  const drain = new CallDrain({
    ...{ stream, archive, clock, log: silentLog, metrics: new ArchiveMetrics(registry) },
    listener: { onArchived: () => undefined, onQuarantined: () => undefined },
  });
  return {
    ...{ tenantKeys, keys, codec, archive, registry },
    store: new RedisCallStore({ redis: bench.client, keys: redisKeys, ttls: CALL_TTLS, codec }),
    drain: (call) => drain.run(call),
    counted: async (event) => {
      const values = (await registry.getSingleMetric('rtvoice_sealing_records_total')?.get())?.values ?? [];
      return values.find(({ labels }) => labels.event === event)?.value ?? 0;
    },
  };
}

/** Every byte that Redis holds: names, values, fields and entries of all keys, whatever their type. */
export async function everythingIn(client: RedisClient): Promise<string> {
  const read: Record<string, (key: string) => Promise<unknown>> = {
    string: (key) => client.command('GET', key),
    hash: (key) => client.command('HGETALL', key),
    set: (key) => client.command('SMEMBERS', key),
    zset: (key) => client.command('ZRANGE', key, 0, -1),
    list: (key) => client.command('LRANGE', key, 0, -1),
    stream: (key) => client.command('XRANGE', key, '-', '+'),
  };
  const parts: string[] = [];
  for (const key of await client.command<string[]>('KEYS', '*')) {
    const type = await client.command<string>('TYPE', key);
    parts.push(key, JSON.stringify(await read[type]?.(key)));
  }
  return parts.join('\n');
}

/** Every document of every container. */
export function everythingInCosmos(bench: SealingBench): string {
  const containers = ['transcripts', 'profiles', 'analytics', 'keys'] as const;
  return JSON.stringify(containers.map((name) => bench.cosmos.documents('rtvoice', name)));
}

export const numberOf = (n: number) => `4:+1555010${n}`;

/** A ring with new keys in clear; the first wraps. */
export async function plainRing(bench: SealingBench, ...ids: string[]): Promise<void> {
  await writeKeyRing(bench.ringPath, { v: 1, tenant: 'acme', keys: ids.map(ringKey) });
}

/** A call of caller `n`. */
export function callBy(worker: SealingWorker, n: number) {
  const call = newCallId();
  const identity = {
    ...{ callRef: `ref-${call}`, callConnectionId: call, correlationId: 'correlation', serverCallId: 'server-call' },
    ...{ from: numberOf(n), to: '4:+15550199', startedAtMs: 1_000 },
  };
  const manager = ConversationManager.start(conversationOptions(worker.store, 1), identity, 'connected');
  return { call, manager, say: (text: string) => void manager.appendToHistory('caller', text) };
}

/** Documents of a call's turns. */
export function turnsOf(bench: SealingBench, call: string) {
  return bench.cosmos
    .documents('rtvoice', 'transcripts')
    .filter((document) => document.callConnectionId === call && document.kind === 'turn');
}

/** What the archive says was said. */
export async function words(bench: SealingBench, worker: SealingWorker, call: string): Promise<unknown[]> {
  const opened = turnsOf(bench, call).map((document) => openTranscript(worker.codec, document));
  return (await Promise.all(opened)).map(({ text }) => text);
}
