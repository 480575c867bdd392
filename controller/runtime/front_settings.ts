import { setting, text, whole } from '../../platform/config.ts';

/** Every setting of the local front. */
export const FRONT_SETTINGS = {
  stateDir: setting({ env: 'RTVOICE_STATE_DIR', description: 'State folder of the local mode.', schema: text }),
  port: setting({
    env: 'RTVOICE_FRONT_PORT',
    description: 'Port of the local front; 0 takes a free one and keeps it.',
    schema: whole(0, 65_535),
    default: '0',
  }),
  logLevel: setting({
    env: 'RTVOICE_LOG_LEVEL',
    description: 'Least severe level that is logged.',
    schema: text,
    default: 'info',
  }),
} as const;
