import { readPool } from '../contract/pool.ts';
import { systemClock } from '../platform/clock.ts';
import { loadConfig } from '../platform/config.ts';
import { silentLog } from '../platform/log.ts';
import { createRegistry } from '../platform/metrics.ts';
import { RedisKeyManager } from '../state/keys/key_manager.ts';
import { pinLayout } from '../state/keys/layout_marker.ts';
import { openRedisAccess } from '../state/redis/access.ts';
import { RedisClient } from '../state/redis/client.ts';
import { FLEET_REDIS_SETTINGS } from './redis_settings.ts';
import { tokenCredential } from './token_credential.ts';

export interface FleetRedis {
  redis: RedisClient;
  keys: RedisKeyManager;
}

/** The Redis of a fleet for a command that can wait, closed after use. Fails with ERR_LAYOUT_MISMATCH when its keys are in another layout. */
export async function withFleetRedis<T>(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  use: (fleet: FleetRedis) => Promise<T>,
): Promise<T> {
  const config = loadConfig(FLEET_REDIS_SETTINGS, env);
  const { spec } = readPool(config.poolFile);
  const shared = { clock: systemClock, log: silentLog, registry: createRegistry({ processMetrics: false }) };
  const { layout, ...access } = await openRedisAccess({ config, ...shared, tokenCredential });
  const redis = new RedisClient({ ...access, ...shared, role: 'patient', name: `rtvoice-${name}` });
  const keys = new RedisKeyManager({ environment: spec.environment, appPrefix: spec.redis.keyPrefix, layout });
  try {
    await redis.ready();
    await pinLayout(redis, keys);
    return await use({ redis, keys });
  } finally {
    await redis.close();
    access.credentials.close();
  }
}
