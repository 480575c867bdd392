import type { PoolRef } from '../contract/ids.ts';
import type { PoolSpec } from '../contract/pool.ts';
import { type CallKeys, callKeys } from '../state/calls/keys.ts';
import { RedisCallStore } from '../state/calls/store.ts';
import { CALL_TTLS } from '../state/calls/ttls.ts';
import { RedisKeyManager } from '../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../state/leases/lease_table.ts';
import { RedisClient } from '../state/redis/client.ts';
import { TtsCache } from '../state/tts/tts_cache.ts';
import type { Process } from './process.ts';

/** Everything of a worker that stands in Redis. */
export interface Stores {
  /** For the call path: a command that is not answered at once is an error. */
  redis: RedisClient;
  /** For background work, which may wait. */
  patientRedis: RedisClient;
  callKeys: CallKeys;
  leases: RedisLeaseTable;
  calls: RedisCallStore;
  tts: TtsCache;
  close(): Promise<void>;
}

export function openStores(options: {
  process: Process;
  redisUrl: string;
  affinitySeconds: number;
  spec: PoolSpec;
  pool: PoolRef;
  /** False while Redis has no room for synthesised speech. */
  mayCachePhrases: () => boolean;
}): Stores {
  const { spec, pool, redisUrl: url } = options;
  const { clock, log, registry } = options.process;
  const redis = new RedisClient({ url, role: 'fastFail', clock, log, registry });
  const patientRedis = new RedisClient({ url, role: 'patient', clock, log, registry });
  const phrases = new RedisClient({ url, role: 'fastFail', clock, log, registry, name: 'rtvoice-phrases' });
  const keys = new RedisKeyManager({ environment: spec.environment, appPrefix: spec.redis.keyPrefix });
  return {
    redis,
    patientRedis,
    callKeys: callKeys(keys),
    leases: new RedisLeaseTable({ client: redis, keys, pool, times: { affinityMs: options.affinitySeconds * 1000 } }),
    calls: new RedisCallStore({ redis, keys: callKeys(keys), ttls: CALL_TTLS }),
    tts: new TtsCache({ redis: phrases, keys, log, registry, mayWrite: options.mayCachePhrases }),
    close: async () => {
      await Promise.all([redis.close(), patientRedis.close(), phrases.close()]);
    },
  };
}
