import { readPool } from '../contract/pool.ts';
import { systemClock } from '../platform/clock.ts';
import { loadConfig } from '../platform/config.ts';
import { silentLog } from '../platform/log.ts';
import { createBlindIndex } from '../security/sealing/blind_index.ts';
import { callKeys } from '../state/calls/keys.ts';
import { RedisCallStore } from '../state/calls/store.ts';
import { CALL_TTLS } from '../state/calls/ttls.ts';
import { plainCodec, type RecordCodec } from '../state/envelope.ts';
import { pinLayout } from '../state/keys/layout_marker.ts';
import type { BulkOptions } from '../state/legacy/bulk.ts';
import { LegacyMetrics } from '../state/legacy/metrics.ts';
import { LegacyMigrator } from '../state/legacy/migrator.ts';
import { RedisClient } from '../state/redis/client.ts';
import { parseRedisTarget } from '../state/redis/target.ts';
import { openSealing } from '../state/sealing/open_sealing.ts';
import { MIGRATE_SEALING_SETTINGS, MIGRATE_SETTINGS } from './migrate_settings.ts';
import { type Environment, type SealingStores, withSealingStores } from './sealing_stores.ts';
import { tokenCredential } from './token_credential.ts';

export type MigrateStores = Pick<BulkOptions, 'migrator' | 'store' | 'legacyRedis' | 'pool'>;

/** Opens what the environment names, and closes it after use. A dry run writes nothing, not even the layout marker. */
export function withMigrateStores<T>(
  env: Environment,
  dryRun: boolean,
  use: (stores: MigrateStores) => Promise<T>,
): Promise<T> {
  const config = loadConfig(MIGRATE_SETTINGS, env);
  return withSealingStores(env, async (stores) => {
    const { redis, keys, registry } = stores;
    const { legacyRedisMode: mode, legacyRedisUrl: url } = config;
    const shared = { clock: systemClock, log: silentLog, registry };
    const legacyRedis =
      url === undefined
        ? redis
        : new RedisClient({ target: parseRedisTarget(mode, url), ...shared, role: 'patient', name: 'rtvoice-migrate' });
    try {
      await legacyRedis.ready();
      if (!dryRun) await pinLayout(redis, keys);
      const codec = await codecOf(stores, env);
      const store = new RedisCallStore({ redis, keys: callKeys(keys), ttls: CALL_TTLS, codec });
      const migrator = new LegacyMigrator({
        ...{ redis, legacyRedis, keys, codec, ttls: CALL_TTLS, maxHistory: store.maxHistory, log: silentLog },
        graceMs: config.legacyGraceSeconds * 1000,
        metrics: new LegacyMetrics(registry),
      });
      const { metadata } = readPool(stores.config.poolFile);
      return await use({ migrator, store, legacyRedis, pool: { namespace: config.namespace, pool: metadata.name } });
    } finally {
      if (legacyRedis !== redis) await legacyRedis.close();
    }
  });
}

/** As the fleet seals: a record in clear would be refused by workers that take sealed ones alone. */
async function codecOf(stores: SealingStores, env: Environment): Promise<RecordCodec> {
  const { config, redis, keys, database, registry } = stores;
  if (config.keyRing === undefined && config.sealingMode === 'Off') return plainCodec;
  const { callerIdKey } = loadConfig(MIGRATE_SEALING_SETTINGS, env);
  const sealing = await openSealing({
    ...{ config, redis, keys, registry, clock: systemClock, log: silentLog, credential: tokenCredential },
    ...(database ? { database } : {}),
    blindIndex: createBlindIndex(callerIdKey),
  });
  return sealing.codec;
}
