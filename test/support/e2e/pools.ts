import { KEYS, REDIS_URL, secret } from './parts.ts';

/** What the simulated Azure tells of itself. */
export interface AzureEnvironment {
  readonly env: Readonly<Record<string, string>>;
  readonly files: { readonly authority: string; readonly federatedToken: string };
}

const FILES = '/var/run/azure';

/** The Secrets of one namespace: the settings of its workers, and the files that some of them name. */
export function poolSecrets(ns: string, azure: AzureEnvironment): object[] {
  const { env, files } = azure;
  const settings = {
    ...env,
    NODE_EXTRA_CA_CERTS: `${FILES}/authority`,
    AZURE_FEDERATED_TOKEN_FILE: `${FILES}/federatedToken`,
    RTVOICE_EVENTGRID_KEYS: KEYS.eventGrid,
    RTVOICE_REDIS_URL: REDIS_URL,
    RTVOICE_INTERNAL_KEYS: KEYS.internal,
    RTVOICE_CALL_TOKEN_KEYS: KEYS.callToken,
    RTVOICE_CALLER_ID_KEY: KEYS.callerId,
    RTVOICE_STATUS_TEXT: 'true',
    RTVOICE_LOG_LEVEL: 'debug',
  };
  return [secret(ns, 'rtvoice', settings), secret(ns, 'azure-files', { ...files })];
}

/** A small pool that answers keys, quick to scale and to drain; `spec` is merged over it, one level deep. */
export function poolDocument(ns: string, name: string, spec: Record<string, unknown> = {}): object {
  const base: Record<string, unknown> = {
    environment: 'test',
    minWorkers: 2,
    maxWorkers: 6,
    slotsPerWorker: 10,
    voice: { backend: 'Echo' },
    scaling: { intervalSeconds: 2, scaleDownStabilizationSeconds: 5 },
    drain: { externalDeadlineSeconds: 600, preStopSeconds: 2, terminationGracePeriodSeconds: 700 },
    update: { canary: { workers: 0 } },
    worker: {
      memoryLimitMiB: 512,
      cpuRequestMillicores: 20,
      podTemplate: {
        spec: {
          volumes: [{ name: 'azure-files', secret: { secretName: 'azure-files' } }],
          containers: [{ name: 'worker', volumeMounts: [{ name: 'azure-files', mountPath: FILES, readOnly: true }] }],
        },
      },
    },
  };
  const merged = { ...base };
  for (const [field, value] of Object.entries(spec)) {
    const under = base[field];
    merged[field] = isObject(under) && isObject(value) ? { ...under, ...value } : value;
  }
  return {
    apiVersion: 'rtvoice.dev/v1alpha1',
    kind: 'VoiceWorkerPool',
    metadata: { name, namespace: ns },
    spec: merged,
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);
