import { systemClock } from '../platform/clock.ts';
import { loadConfig } from '../platform/config.ts';
import { silentLog } from '../platform/log.ts';
import { createRegistry } from '../platform/metrics.ts';
import type { CosmosDatabase } from '../state/cosmos/client.ts';
import type { RecordCodec } from '../state/envelope.ts';
import { openArchiveReader } from '../state/sealing/open_sealing.ts';
import { SEALING_SETTINGS } from '../state/sealing/sealing_settings.ts';
import { tokenCredential } from './token_credential.ts';

/** Opens sealed records of the archive with the ring that the environment names; undefined without one. */
export async function readingCodec(
  database: CosmosDatabase,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Pick<RecordCodec, 'open'> | undefined> {
  const { keyRing, keyVaultUrl } = loadConfig(SEALING_SETTINGS, env);
  if (keyRing === undefined) return undefined;
  return openArchiveReader({
    ...{ config: { keyRing, keyVaultUrl }, database, credential: tokenCredential },
    ...{ clock: systemClock, log: silentLog, registry: createRegistry({ processMetrics: false }) },
  });
}
