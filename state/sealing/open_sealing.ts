import type { TokenCredential } from '@azure/identity';
import type { Clock } from '../../platform/clock.ts';
import { CONFIG_INVALID, type Config } from '../../platform/config.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import type { BlindIndex } from '../../security/sealing/blind_index.ts';
import { TenantKeyRing } from '../../security/sealing/keys.ts';
import type { CosmosDatabase } from '../cosmos/client.ts';
import { plainCodec, type RecordCodec } from '../envelope.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import { ttlMs } from '../keys/ttl.ts';
import type { CallArchive } from '../outbox/ports.ts';
import type { RedisClient } from '../redis/client.ts';
import { CallerKeys } from './caller_keys.ts';
import { SealingCodec } from './codec.ts';
import { CosmosCallerKeys } from './cosmos_caller_keys.ts';
import { SealingMetrics } from './metrics.ts';
import { RedisCallerKeys } from './redis_caller_keys.ts';
import { SealingArchive } from './sealing_archive.ts';
import type { SEALING_SETTINGS } from './sealing_settings.ts';

export interface SealingOptions {
  config: Config<typeof SEALING_SETTINGS>;
  blindIndex: BlindIndex;
  /** The fast-fail client: a call that starts waits for it. */
  redis: RedisClient;
  keys: RedisKeyManager;
  /** Without it keys live in Redis alone, as long as the outbox. */
  database?: CosmosDatabase;
  /** Called for a vault only: loading the identity library is slow. */
  credential: () => Promise<TokenCredential>;
  clock: Clock;
  log: Log;
  registry: Registry;
}

/** What one process seals and opens with. */
export interface Sealing {
  /** For whatever writes to or reads from Redis. */
  readonly codec: RecordCodec;
  /** For what writes to the archive by itself (profiles are merged there). */
  readonly archiveCodec: RecordCodec;
  /** Undefined without a key ring. */
  readonly keys: CallerKeys | undefined;
  /** Lays the care for keys around an archive. */
  archive(inner: CallArchive): CallArchive;
  /** Finds the key of a call that starts; does nothing while nothing is sealed. */
  prepare(callConnectionId: string, from: string): Promise<void>;
}

const UNSEALED: Sealing = {
  codec: plainCodec,
  archiveCodec: plainCodec,
  keys: undefined,
  archive: (inner) => inner,
  prepare: () => Promise.resolve(),
};

/** Rejects with ERR_CONFIG_INVALID or ERR_KEY_RING_INVALID. The vault is asked with the first key that is needed. */
export async function openSealing(options: SealingOptions): Promise<Sealing> {
  const { config, blindIndex, redis, keys: redisKeys, database, clock, log, registry } = options;
  const mode = config.sealingMode;
  if (config.keyRing === undefined) {
    if (mode !== 'Off') throw CONFIG_INVALID.with(`RTVOICE_SEALING_MODE is ${mode} and RTVOICE_KEY_RING is not set`);
    return UNSEALED;
  }
  const metrics = new SealingMetrics(registry);
  const tenantKeys = await openTenantKeys({ ...options, config: { ...config, keyRing: config.keyRing } });
  const inRedis = new RedisCallerKeys({ redis, keys: redisKeys, ttlMs: ttlMs('outbox') });
  const keys = new CallerKeys({
    ...{ tenantKeys, clock, log, metrics },
    stores: database ? [inRedis, new CosmosCallerKeys(database.container('keys'))] : [inRedis],
  });
  const codec = new SealingCodec({ mode, keys, blindIndex, clock, metrics });
  return {
    codec,
    archiveCodec: codec.forArchive(),
    keys,
    archive: (archive) => new SealingArchive({ archive, keys, mode, metrics }),
    prepare: (callConnectionId, from) => codec.prepare(callConnectionId, from),
  };
}

/** Nobody is looked for by who reads alone. */
const NO_INDEX: BlindIndex = { of: () => undefined, all: () => [], ofCall: (callConnectionId) => callConnectionId };

/** Opens what the archive holds, sealed or not; for programs that read and have no Redis. Rejects with ERR_KEY_RING_INVALID. */
export async function openArchiveReader(
  options: Parameters<typeof openTenantKeys>[0] & { database: CosmosDatabase; registry: Registry },
): Promise<Pick<RecordCodec, 'open'>> {
  const { database, clock, log, registry } = options;
  const metrics = new SealingMetrics(registry);
  const tenantKeys = await openTenantKeys(options);
  const stores = [new CosmosCallerKeys(database.container('keys'))] as const;
  const keys = new CallerKeys({ tenantKeys, stores, clock, log, metrics });
  return new SealingCodec({ mode: 'Migrating', keys, blindIndex: NO_INDEX, clock, metrics });
}

/** The ring that the settings name. Rejects with ERR_KEY_RING_INVALID. */
export async function openTenantKeys(options: {
  config: { readonly keyRing: string; readonly keyVaultUrl: string | undefined };
  credential: () => Promise<TokenCredential>;
  clock: Clock;
  log: Log;
}): Promise<TenantKeyRing> {
  const { clock, log, config } = options;
  const ring = { path: config.keyRing, clock, log };
  if (config.keyVaultUrl === undefined) return TenantKeyRing.open(ring);
  // Loaded only where it is used, as the identity library is.
  const { createKeyVault } = await import('../../security/sealing/key_vault.ts');
  const credential = await options.credential();
  return TenantKeyRing.open({ ...ring, unwrapper: createKeyVault({ vaultUrl: config.keyVaultUrl, credential }) });
}
