import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import { createBlindIndex } from '../../security/sealing/blind_index.ts';
import { TenantKeyRing } from '../../security/sealing/keys.ts';
import { writeKeyRing } from '../../security/sealing/keys_file.ts';
import type { RecordCodec } from '../../state/envelope.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import type { RedisClient } from '../../state/redis/client.ts';
import { CallerKeys } from '../../state/sealing/caller_keys.ts';
import { SealingCodec } from '../../state/sealing/codec.ts';
import { SealingMetrics } from '../../state/sealing/metrics.ts';
import { RedisCallerKeys } from '../../state/sealing/redis_caller_keys.ts';

const KEYS_TTL_MS = 3_600_000;

/** Sealing as a worker does it, with a key file in place of Key Vault and Redis alone as the store of caller keys. */
export async function openBenchSealing(parts: {
  directory: string;
  client: RedisClient;
  registry: Registry;
}): Promise<RecordCodec> {
  const path = join(parts.directory, 'ring.json');
  const key = { id: 't1', key: randomBytes(32).toString('base64url') };
  await writeKeyRing(path, { v: 1, tenant: 'bench', keys: [key] });
  const shared = { clock: systemClock, log: silentLog, metrics: new SealingMetrics(parts.registry) };
  const tenantKeys = await TenantKeyRing.open({ path, clock: systemClock, log: silentLog });
  const keys = new RedisKeyManager({ environment: 'test' });
  const store = new RedisCallerKeys({ redis: parts.client, keys, ttlMs: KEYS_TTL_MS });
  const callerKeys = new CallerKeys({ ...shared, tenantKeys, stores: [store], waitMs: 2_000 });
  const blindIndex = createBlindIndex(['a key of the blind index']);
  return new SealingCodec({ ...shared, mode: 'On', keys: callerKeys, blindIndex });
}
