import { choice, optionalText, setting, text, whole } from '../../platform/config.ts';
import { PUBLIC_ARM_ENDPOINT } from '../redis_tier/arm_client.ts';

/** Every setting of the controller in a cluster. What a pool needs stands in its resource and in the Secret that it names. */
export const CLUSTER_SETTINGS = {
  watchNamespace: setting({
    env: 'RTVOICE_WATCH_NAMESPACE',
    description: 'Namespace whose pools are controlled; `-` is every namespace.',
    schema: optionalText,
    default: '-',
  }),
  podName: setting({
    env: 'RTVOICE_POD_NAME',
    description: 'Name of this Pod: who holds the lead; `-` is the host name.',
    schema: optionalText,
    default: '-',
  }),
  podNamespace: setting({
    env: 'RTVOICE_POD_NAMESPACE',
    description: 'Namespace of the Lease that controllers are elected by.',
    schema: text,
    default: 'rtvoice',
  }),
  kubeconfig: setting({
    env: 'RTVOICE_KUBECONFIG',
    description: 'Kubeconfig file for a controller outside the cluster; `-` takes the service account of the Pod.',
    schema: optionalText,
    default: '-',
  }),
  serviceAccountDir: setting({
    env: 'RTVOICE_SERVICE_ACCOUNT_DIR',
    description: 'Folder with the token and the authority of the service account, as a Pod has it.',
    schema: text,
    default: '/var/run/secrets/kubernetes.io/serviceaccount',
  }),
  workerImage: setting({
    env: 'RTVOICE_WORKER_IMAGE',
    description: 'Image of workers whose pool names none.',
    schema: optionalText,
    default: '-',
  }),
  publicUrl: setting({
    env: 'RTVOICE_PUBLIC_URL',
    description: 'Base URL under which ACS reaches pools that name none (the edge).',
    schema: optionalText,
    default: '-',
  }),
  armEndpoint: setting({
    env: 'RTVOICE_ARM_ENDPOINT',
    description: 'Azure Resource Manager of the cloud that the Redis of pools with that actuator is in.',
    schema: text,
    default: PUBLIC_ARM_ENDPOINT,
  }),
  bindAddress: setting({
    env: 'RTVOICE_BIND',
    description: 'Address that the controller API binds to.',
    schema: text,
    default: '127.0.0.1',
  }),
  port: setting({
    env: 'RTVOICE_CONTROLLER_PORT',
    description: 'Port of the controller API.',
    schema: whole(0, 65_535),
    default: '8082',
  }),
  token: setting({
    env: 'RTVOICE_CONTROLLER_TOKEN',
    description: 'Bearer token of the controller API; `-` opens the probes alone.',
    schema: optionalText,
    secret: true,
    default: '-',
  }),
  concurrency: setting({
    env: 'RTVOICE_CONCURRENT_RECONCILES',
    description: 'Pools that are reconciled at the same time.',
    schema: whole(1, 256),
    default: '16',
  }),
  logLevel: setting({
    env: 'RTVOICE_LOG_LEVEL',
    description: 'Least severe level that is logged.',
    schema: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal'),
    default: 'info',
  }),
} as const;
