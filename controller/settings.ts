import { choice, keyList, optionalText, setting, text, whole } from '../platform/config.ts';
import { REDIS_SETTINGS } from '../state/redis/settings.ts';

/** Every setting of the local controller. All RTVOICE_* and AZURE_* variables go on to the workers, whose own settings stand in worker/settings.ts. */
export const CONTROLLER_SETTINGS = {
  namespace: setting({
    env: 'RTVOICE_NAMESPACE',
    description: 'Namespace of the pools.',
    schema: text,
    default: 'local',
  }),
  stateDir: setting({
    env: 'RTVOICE_STATE_DIR',
    description: 'Folder with the records, logs and token of the local mode; one controller at a time.',
    schema: text,
    default: '.rtvoice/local',
  }),
  poolFile: setting({
    env: 'RTVOICE_POOL_FILE',
    description: 'Pool document that is applied at the start; `-` goes on with the pools known from before.',
    schema: optionalText,
    default: '-',
  }),
  ...REDIS_SETTINGS,
  port: setting({
    env: 'RTVOICE_CONTROLLER_PORT',
    description:
      'Loopback port of the controller API; 0 takes a free one (written to controller.json in the state folder).',
    schema: whole(0, 65_535),
    default: '0',
  }),
  frontPort: setting({
    env: 'RTVOICE_FRONT_PORT',
    description: 'Port of the local front; 0 takes a free one and keeps it across restarts.',
    schema: whole(0, 65_535),
    default: '0',
  }),
  publicUrl: setting({
    env: 'RTVOICE_PUBLIC_URL',
    description: 'Base URL under which ACS reaches the pools; `-` is the address of the local front.',
    schema: optionalText,
    default: '-',
  }),
  internalKeys: setting({
    env: 'RTVOICE_INTERNAL_KEYS',
    description: 'Keys of the workers’ internal listener; the first is sent.',
    schema: keyList,
    secret: true,
  }),
  affinitySeconds: setting({
    env: 'RTVOICE_AFFINITY_SECONDS',
    description:
      'Life of a worker’s affinity record in Redis; the worker extends its own each second. The same for controller and workers.',
    schema: whole(30, 3600),
    default: '300',
  }),
  workerEntry: setting({
    env: 'RTVOICE_WORKER_ENTRY',
    description: 'Script that a worker process runs; `-` is the product’s own.',
    schema: optionalText,
    default: '-',
  }),
  logLevel: setting({
    env: 'RTVOICE_LOG_LEVEL',
    description: 'Least severe level that is logged.',
    schema: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal'),
    default: 'info',
  }),
} as const;
