import type { TokenCredential } from '@azure/identity';
import type { PoolRef } from '../contract/ids.ts';
import type { PoolSpec } from '../contract/pool.ts';
import type { Config } from '../platform/config.ts';
import { type BlindIndex, createBlindIndex } from '../security/sealing/blind_index.ts';
import { type CallKeys, callKeys } from '../state/calls/keys.ts';
import { RedisCallStore } from '../state/calls/store.ts';
import { CALL_TTLS } from '../state/calls/ttls.ts';
import { type CosmosDatabase, openCosmos } from '../state/cosmos/client.ts';
import { RedisKeyManager } from '../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../state/leases/lease_table.ts';
import type { CallStore } from '../state/ports.ts';
import { openRedisAccess } from '../state/redis/access.ts';
import { RedisClient } from '../state/redis/client.ts';
import { openSealing, type Sealing } from '../state/sealing/open_sealing.ts';
import { TtsCache } from '../state/tts/tts_cache.ts';
import { type LegacyStore, withLegacy } from './legacy_store.ts';
import type { Process } from './process.ts';
import type { WORKER_SETTINGS } from './settings.ts';

/** Everything of a worker that stands in Redis and Cosmos DB. */
export interface Stores {
  /** For the call path: a command that is not answered at once is an error. */
  redis: RedisClient;
  /** For background work, which may wait. */
  patientRedis: RedisClient;
  redisUsesTls: boolean;
  keys: RedisKeyManager;
  callKeys: CallKeys;
  leases: RedisLeaseTable;
  calls: CallStore;
  tts: TtsCache;
  /** Undefined where records stay in Redis. */
  database: CosmosDatabase | undefined;
  blindIndex: BlindIndex;
  sealing: Sealing;
  close(): Promise<void>;
}

export interface StoresOptions {
  config: Config<typeof WORKER_SETTINGS>;
  process: Process;
  spec: PoolSpec;
  pool: PoolRef;
  credential: TokenCredential;
  /** False while Redis has no room for synthesised speech. */
  mayCachePhrases: () => boolean;
}

/** Rejects with an error of the settings; stores that are away are no error. */
export async function openStores(options: StoresOptions): Promise<Stores> {
  const { config, process: shared, spec, pool, credential } = options;
  const { clock, log, registry, random } = shared;
  const tokenCredential = () => Promise.resolve(credential);
  const { layout, ...access } = await openRedisAccess({ config, clock, log, registry, random, tokenCredential });
  const common = { ...access, clock, log, registry, random };
  const redis = new RedisClient({ ...common, role: 'fastFail' });
  const patientRedis = new RedisClient({ ...common, role: 'patient' });
  const phrases = new RedisClient({ ...common, role: 'fastFail', name: 'rtvoice-phrases' });
  const keys = new RedisKeyManager({ environment: spec.environment, appPrefix: spec.redis.keyPrefix, layout });
  const blindIndex = createBlindIndex(config.callerIdKey);
  const database = openDatabase(options);
  const sealing = await openSealing({
    ...{ config, blindIndex, redis, keys, clock, log, registry, credential: tokenCredential },
    ...(database ? { database } : {}),
  });
  const { codec } = sealing;
  const store = new RedisCallStore({ redis, keys: callKeys(keys), ttls: CALL_TTLS, codec });
  const legacy: LegacyStore = withLegacy(store, { config, redis, keys, codec, ...shared });
  return {
    ...{ redis, patientRedis, keys, blindIndex, database, sealing },
    redisUsesTls: access.target.tls,
    callKeys: callKeys(keys),
    leases: new RedisLeaseTable({ client: redis, keys, pool, times: { affinityMs: config.affinitySeconds * 1000 } }),
    calls: legacy.store,
    tts: new TtsCache({ redis: phrases, keys, log, registry, mayWrite: options.mayCachePhrases }),
    close: async () => {
      await Promise.all([redis.close(), patientRedis.close(), phrases.close(), legacy.close()]);
      access.credentials.close();
      database?.close();
    },
  };
}

function openDatabase({ config, credential }: StoresOptions): CosmosDatabase | undefined {
  if (config.cosmosEndpoint === undefined) return undefined;
  return openCosmos({
    endpoint: config.cosmosEndpoint,
    database: config.cosmosDatabase,
    credential: { kind: 'entra', credential },
  });
}
