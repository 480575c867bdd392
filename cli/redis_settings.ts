import { setting, text } from '../platform/config.ts';
import { REDIS_SETTINGS } from '../state/redis/settings.ts';

/** What commands that work on a fleet's Redis read from the environment: the values of the fleet. */
export const FLEET_REDIS_SETTINGS = {
  ...REDIS_SETTINGS,
  poolFile: setting({
    env: 'RTVOICE_POOL_FILE',
    description: 'Path of the VoiceWorkerPool document: environment and key prefix.',
    schema: text,
  }),
} as const;
