import { choice, flag, keyList, optionalText, setting, text, url, whole } from '../platform/config.ts';
import { LEGACY_SETTINGS } from '../state/legacy/settings.ts';
import { MESSAGING_SETTINGS } from '../state/messaging/settings.ts';
import { REDIS_SETTINGS } from '../state/redis/settings.ts';
import { SEALING_SETTINGS } from '../state/sealing/sealing_settings.ts';

/** Every setting of a worker. What a fleet shares stands in the pool document (RTVOICE_POOL_FILE); this is what differs per process or is secret. */
export const WORKER_SETTINGS = {
  namespace: setting({
    env: 'RTVOICE_NAMESPACE',
    description: 'Namespace of the pool.',
    schema: text,
    default: 'local',
  }),
  pool: setting({ env: 'RTVOICE_POOL', description: 'Name of the pool.', schema: text }),
  workerId: setting({ env: 'RTVOICE_WORKER_ID', description: 'Worker id; in a cluster the Pod name.', schema: text }),
  revision: setting({
    env: 'RTVOICE_REVISION',
    description: 'Revision hash of the pool template this worker was made from.',
    schema: text,
    default: 'none',
  }),
  poolFile: setting({ env: 'RTVOICE_POOL_FILE', description: 'Path of the VoiceWorkerPool document.', schema: text }),
  bindAddress: setting({
    env: 'RTVOICE_BIND',
    description: 'Address that both listeners bind to.',
    schema: text,
    default: '127.0.0.1',
  }),
  publicPort: setting({
    env: 'RTVOICE_PUBLIC_PORT',
    description: 'Port of the public listener; 0 takes a free one.',
    schema: whole(0, 65_535),
    default: '8080',
  }),
  internalPort: setting({
    env: 'RTVOICE_INTERNAL_PORT',
    description: 'Port of the internal listener; 0 takes a free one.',
    schema: whole(0, 65_535),
    default: '8081',
  }),
  publicUrl: setting({
    env: 'RTVOICE_PUBLIC_URL',
    description: 'Base URL under which ACS reaches the pool (the edge).',
    schema: url,
  }),
  internalUrl: setting({
    env: 'RTVOICE_INTERNAL_URL',
    description:
      'Base URL under which other workers reach the internal listener; `-` derives it from the bind address.',
    schema: optionalText,
    default: '-',
  }),
  ...REDIS_SETTINGS,
  ...SEALING_SETTINGS,
  ...LEGACY_SETTINGS,
  ...MESSAGING_SETTINGS,
  cosmosEndpoint: setting({
    env: 'RTVOICE_COSMOS_ENDPOINT',
    description: 'Cosmos DB account endpoint; `-` keeps records in the outbox only.',
    schema: optionalText,
    default: '-',
  }),
  cosmosDatabase: setting({
    env: 'RTVOICE_COSMOS_DATABASE',
    description: 'Cosmos DB database.',
    schema: text,
    default: 'rtvoice',
  }),
  acsEndpoint: setting({
    env: 'RTVOICE_ACS_ENDPOINT',
    description: 'Endpoint of the Communication Services resource.',
    schema: url,
  }),
  acsResourceId: setting({
    env: 'RTVOICE_ACS_RESOURCE_ID',
    description: 'Immutable id of that resource: the audience of the tokens ACS sends.',
    schema: text,
  }),
  acsIssuer: setting({
    env: 'RTVOICE_ACS_ISSUER',
    description: 'Issuer of the tokens ACS sends.',
    schema: url,
    default: 'https://acscallautomation.communication.azure.com',
  }),
  acsJwksUrl: setting({
    env: 'RTVOICE_ACS_JWKS_URL',
    description: 'Where the keys of that issuer are published.',
    schema: url,
    default: 'https://acscallautomation.communication.azure.com/calling/keys',
  }),
  eventGridTopic: setting({
    env: 'RTVOICE_EVENTGRID_TOPIC',
    description: 'Resource id that every Event Grid event must name as its topic.',
    schema: text,
  }),
  eventGridKeys: setting({
    env: 'RTVOICE_EVENTGRID_KEYS',
    description:
      'Shared secrets that the Event Grid subscription sends in the header `x-rtvoice-key`; two during a rotation.',
    schema: keyList,
    secret: true,
  }),
  callTokenKeys: setting({
    env: 'RTVOICE_CALL_TOKEN_KEYS',
    description: 'Keys that sign call tokens; the first signs, all verify. Keep an old one for the longest call.',
    schema: keyList,
    secret: true,
  }),
  callerIdKey: setting({
    env: 'RTVOICE_CALLER_ID_KEY',
    description:
      'Keys that turn callers into stable pseudonyms (the ids of their profiles); the first writes, all are looked up. Without an old one its profiles are not found any more.',
    schema: keyList,
    secret: true,
  }),
  internalKeys: setting({
    env: 'RTVOICE_INTERNAL_KEYS',
    description: 'Keys of the internal listener; the first is sent, all are accepted.',
    schema: keyList,
    secret: true,
  }),
  workDir: setting({
    env: 'RTVOICE_WORK_DIR',
    description: 'Folder for scratch files of this process.',
    schema: text,
    default: '/tmp',
  }),
  spoolDir: setting({
    env: 'RTVOICE_SPOOL_DIR',
    description:
      'Folder for records while Redis is away, shared by the workers of a machine; `-` is `spool` in the folder for scratch files. It should outlive a restart of the container.',
    schema: optionalText,
    default: '-',
  }),
  spoolMaxMib: setting({
    env: 'RTVOICE_SPOOL_MAX_MIB',
    description: 'Bound of one worker’s spool in MiB. At 75 % of it the worker takes no new calls.',
    schema: whole(1, 65_536),
    default: '64',
  }),
  systemMetricsSeconds: setting({
    env: 'RTVOICE_SYSTEM_METRICS_SECONDS',
    description:
      'The worker puts a record of its figures into the container `metrics` this often, for reports over weeks; 0 writes none.',
    schema: whole(0, 86_400),
    default: '60',
  }),
  readyFile: setting({
    env: 'RTVOICE_READY_FILE',
    description:
      'Where the worker writes `{publicPort, internalPort, pid, incarnation}` as JSON once both listeners answer (in one step: a new file, renamed); `-` writes nothing.',
    schema: optionalText,
    default: '-',
  }),
  affinitySeconds: setting({
    env: 'RTVOICE_AFFINITY_SECONDS',
    description:
      'Life of a worker’s affinity record in Redis; the worker extends its own each second. The same for controller and workers.',
    schema: whole(30, 3600),
    default: '300',
  }),
  statusText: setting({
    env: 'RTVOICE_STATUS_TEXT',
    description: 'Show what was heard and said in `/statusz`; for local use only.',
    schema: flag,
    default: 'false',
  }),
  logLevel: setting({
    env: 'RTVOICE_LOG_LEVEL',
    description: 'Least severe level that is logged.',
    schema: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal'),
    default: 'info',
  }),
} as const;
