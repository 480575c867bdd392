import { choice, flag, optionalText, setting, whole } from '../../platform/config.ts';
import { REDIS_MODES } from '../redis/target.ts';

/** How a fleet moves over from the older flat keys; all of its processes take the same values. */
export const LEGACY_SETTINGS = {
  legacyMigration: setting({
    env: 'RTVOICE_LEGACY_MIGRATION',
    description:
      'Whether a call without a record is looked for under the older flat keys and moved over (docs/migration.md).',
    schema: flag,
    default: 'false',
  }),
  legacyRedisMode: setting({
    env: 'RTVOICE_LEGACY_REDIS_MODE',
    description: 'Form of the Redis that RTVOICE_LEGACY_REDIS_URL names, as RTVOICE_REDIS_MODE has it.',
    schema: choice(...REDIS_MODES),
    default: 'Standalone',
  }),
  legacyRedisUrl: setting({
    env: 'RTVOICE_LEGACY_REDIS_URL',
    description:
      'Redis with the older flat keys, user and password in it, in the form of RTVOICE_REDIS_URL; `-` when it is that one.',
    schema: optionalText,
    default: '-',
    secret: true,
  }),
  legacyGraceSeconds: setting({
    env: 'RTVOICE_LEGACY_GRACE_SECONDS',
    description:
      'How long a flat key stays readable after it was moved over, for the way back. Longer than the longest call.',
    schema: whole(7_200, 518_400),
    default: '86400',
  }),
} as const;
