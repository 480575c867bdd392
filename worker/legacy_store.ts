import type { Config } from '../platform/config.ts';
import type { RedisCallStore } from '../state/calls/store.ts';
import { CALL_TTLS } from '../state/calls/ttls.ts';
import type { RecordCodec } from '../state/envelope.ts';
import type { RedisKeyManager } from '../state/keys/key_manager.ts';
import { LegacyMetrics } from '../state/legacy/metrics.ts';
import { MigratingCallStore } from '../state/legacy/migrating_store.ts';
import { LegacyMigrator } from '../state/legacy/migrator.ts';
import type { CallStore } from '../state/ports.ts';
import { RedisClient } from '../state/redis/client.ts';
import { parseRedisTarget } from '../state/redis/target.ts';
import type { Process } from './process.ts';
import type { WORKER_SETTINGS } from './settings.ts';

export interface LegacyStore {
  store: CallStore;
  close(): Promise<void>;
}

interface LegacyParts extends Process {
  config: Config<typeof WORKER_SETTINGS>;
  redis: RedisClient;
  keys: RedisKeyManager;
  codec: RecordCodec;
}

/** The store as it is, or one that looks for calls of an older system under its flat keys. */
export function withLegacy(store: RedisCallStore, parts: LegacyParts): LegacyStore {
  const { config, redis, keys, codec, clock, log, registry } = parts;
  if (!config.legacyMigration) return { store, close: () => Promise.resolve() };
  const { legacyRedisMode: mode, legacyRedisUrl: url } = config;
  const legacyRedis =
    url === undefined
      ? undefined
      : new RedisClient({
          ...{ target: parseRedisTarget(mode, url), role: 'fastFail', clock, log, registry, name: 'rtvoice-legacy' },
        });
  const migrator = new LegacyMigrator({
    ...{ redis, keys, codec, ttls: CALL_TTLS, maxHistory: store.maxHistory, log },
    ...(legacyRedis ? { legacyRedis } : {}),
    graceMs: config.legacyGraceSeconds * 1000,
    metrics: new LegacyMetrics(registry),
  });
  return {
    store: new MigratingCallStore({ store, migrator, log, whenAway: 'goOn' }),
    close: async () => legacyRedis?.close(),
  };
}
