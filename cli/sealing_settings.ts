import { optionalKeyList, setting, text } from '../platform/config.ts';
import { REDIS_SETTINGS } from '../state/redis/settings.ts';
import { SEALING_SETTINGS } from '../state/sealing/sealing_settings.ts';
import { COSMOS_ACCOUNT_SETTINGS } from './cosmos_settings.ts';

/** What `rtvoice keys` and `rtvoice verify` read from the environment: the values of the fleet. */
export const SEALING_COMMAND_SETTINGS = {
  ...REDIS_SETTINGS,
  ...SEALING_SETTINGS,
  callerIdKey: setting({
    env: 'RTVOICE_CALLER_ID_KEY',
    description: 'Keys of the callers’ pseudonyms, as the workers have them; for `keys erase`.',
    schema: optionalKeyList,
    default: '-',
    secret: true,
  }),
  cosmosEndpoint: COSMOS_ACCOUNT_SETTINGS.endpoint,
  cosmosDatabase: COSMOS_ACCOUNT_SETTINGS.database,
  cosmosKey: COSMOS_ACCOUNT_SETTINGS.key,
  poolFile: setting({
    env: 'RTVOICE_POOL_FILE',
    description: 'Path of the VoiceWorkerPool document: environment and key prefix.',
    schema: text,
  }),
} as const;
