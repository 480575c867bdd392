import { keyList, setting, text } from '../platform/config.ts';
import { LEGACY_SETTINGS } from '../state/legacy/settings.ts';

/** What `rtvoice migrate` reads from the environment beside how the stores are reached: the values of the fleet that shall find the conversations. */
export const MIGRATE_SETTINGS = {
  ...LEGACY_SETTINGS,
  namespace: setting({
    env: 'RTVOICE_NAMESPACE',
    description: 'Namespace of the pool.',
    schema: text,
    default: 'local',
  }),
} as const;

/** Needed with a key ring alone. */
export const MIGRATE_SEALING_SETTINGS = {
  callerIdKey: setting({
    env: 'RTVOICE_CALLER_ID_KEY',
    description: 'Keys that turn callers into stable pseudonyms, as the workers have them.',
    schema: keyList,
    secret: true,
  }),
} as const;
