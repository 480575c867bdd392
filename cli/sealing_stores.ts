import { readPool } from '../contract/pool.ts';
import { systemClock } from '../platform/clock.ts';
import { type Config, loadConfig } from '../platform/config.ts';
import { silentLog } from '../platform/log.ts';
import { createRegistry, type Registry } from '../platform/metrics.ts';
import { type CosmosDatabase, openCosmos } from '../state/cosmos/client.ts';
import { RedisKeyManager } from '../state/keys/key_manager.ts';
import { openRedisAccess } from '../state/redis/access.ts';
import { RedisClient } from '../state/redis/client.ts';
import { SEALING_COMMAND_SETTINGS } from './sealing_settings.ts';
import { tokenCredential } from './token_credential.ts';

export interface SealingStores {
  config: Config<typeof SEALING_COMMAND_SETTINGS>;
  redis: RedisClient;
  keys: RedisKeyManager;
  /** Undefined when no account is named. */
  database: CosmosDatabase | undefined;
  registry: Registry;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Opens what the environment names, and closes it after use. */
export async function withSealingStores<T>(env: Environment, use: (stores: SealingStores) => Promise<T>): Promise<T> {
  const config = loadConfig(SEALING_COMMAND_SETTINGS, env);
  const { spec } = readPool(config.poolFile);
  const registry = createRegistry({ processMetrics: false });
  const shared = { clock: systemClock, log: silentLog, registry };
  const access = await openRedisAccess({ config, ...shared, tokenCredential });
  const { layout, credentials, ...target } = access;
  const redis = new RedisClient({ ...target, credentials, ...shared, role: 'patient', name: 'rtvoice-sealing' });
  const keys = new RedisKeyManager({ environment: spec.environment, appPrefix: spec.redis.keyPrefix, layout });
  let database: CosmosDatabase | undefined;
  try {
    await redis.ready();
    database = await openDatabase(config);
    return await use({ config, redis, keys, database, registry });
  } finally {
    database?.close();
    await redis.close();
    credentials.close();
  }
}

async function openDatabase(config: SealingStores['config']): Promise<CosmosDatabase | undefined> {
  const { cosmosEndpoint: endpoint, cosmosDatabase: database, cosmosKey: key } = config;
  if (endpoint === undefined) return undefined;
  const credential =
    key === undefined ? { kind: 'entra' as const, credential: await tokenCredential() } : { kind: 'key' as const, key };
  return openCosmos({ endpoint, database, credential, requestTimeoutMs: 30_000 });
}
