import type { PoolRef } from '../../../contract/ids.ts';
import { ANNOTATIONS, callsService, LABELS, PORTS, poolLabels } from '../../../contract/labels.ts';
import type { PoolSpec } from '../../../contract/pool.ts';
import { INTERNAL } from '../../../contract/urls.ts';
import { type Json, mergePodSpec, textMap, WORKER_CONTAINER } from './merge_template.ts';

export interface PodTemplateOptions {
  readonly id: string;
  readonly ref: PoolRef;
  readonly revision: string;
  /** Of that revision. */
  readonly spec: PoolSpec;
  /** ConfigMap with the document of that revision. */
  readonly configMap: string;
  readonly image: string;
  /** Base URL under which ACS reaches the pool. */
  readonly publicUrl: string;
}

/** What the image must offer: the compiled product at this path, on a `node` of its own. */
const COMMAND = ['node', '/app/dist/worker/main.js'];
const DOCUMENT_FOLDER = '/etc/rtvoice/pool';
const WORK_FOLDER = '/var/run/rtvoice';
export const DOCUMENT_FILE = 'pool.json';
/** A user that owns nothing; the same as in the image. */
const USER_ID = 65_532;

/** The Pod of one worker, without its owner. Pure. */
export function workerPod(options: PodTemplateOptions): Json {
  const { id, ref, revision, spec } = options;
  const template = spec.worker.podTemplate as Json | undefined;
  const metadata = (template?.metadata ?? {}) as Json;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: id,
      namespace: ref.namespace,
      labels: {
        ...textMap(metadata.labels),
        ...poolLabels(ref, 'worker'),
        [LABELS.worker]: id,
        [LABELS.revision]: revision,
        // Protected from birth: a budget that takes effect later would leave the first calls open to an eviction.
        [LABELS.protected]: 'true',
        [LABELS.admitting]: 'true',
      },
      annotations: {
        ...textMap(metadata.annotations),
        [ANNOTATIONS.admission]: 'admitting',
        [ANNOTATIONS.safeToEvict]: 'false',
      },
    },
    spec: mergePodSpec(podSpec(options), (template?.spec ?? {}) as Json),
  };
}

function podSpec(options: PodTemplateOptions): Json {
  const { id, ref, spec, configMap } = options;
  return {
    hostname: id,
    subdomain: callsService(ref),
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: spec.drain.terminationGracePeriodSeconds,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER_ID,
      runAsGroup: USER_ID,
      fsGroup: USER_ID,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    // A node that gives no sign of life may have workers that serve: the controller decides on them, not a timer.
    tolerations: ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].map((key) => ({
      key,
      operator: 'Exists',
      effect: 'NoExecute',
    })),
    topologySpreadConstraints: ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map((topologyKey) => ({
      maxSkew: 1,
      topologyKey,
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: { [LABELS.pool]: ref.pool } },
    })),
    containers: [container(options)],
    volumes: [
      { name: 'rtvoice-pool', configMap: { name: configMap } },
      { name: 'rtvoice-work', emptyDir: {} },
    ],
  };
}

function container(options: PodTemplateOptions): Json {
  const { spec, image } = options;
  const memory = `${spec.worker.memoryLimitMiB}Mi`;
  return {
    name: WORKER_CONTAINER,
    image,
    imagePullPolicy: spec.worker.imagePullPolicy,
    command: COMMAND,
    env: environment(options),
    envFrom: [{ secretRef: { name: spec.secretName } }],
    ports: [
      { name: 'public', containerPort: PORTS.public },
      { name: 'internal', containerPort: PORTS.internal },
    ],
    resources: { requests: { cpu: `${spec.worker.cpuRequestMillicores}m`, memory }, limits: { memory } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    // The names of other workers must have learned of the end before this one stops to answer.
    lifecycle: { preStop: { sleep: { seconds: Math.max(1, spec.drain.preStopSeconds) } } },
    startupProbe: probe(INTERNAL.readyz, { periodSeconds: 1, failureThreshold: 120 }),
    readinessProbe: probe(INTERNAL.readyz, { periodSeconds: 2, failureThreshold: 3 }),
    // A frozen process has lost its calls to others long before this; the restart only brings it back.
    livenessProbe: probe(INTERNAL.livez, { periodSeconds: 5, failureThreshold: 12 }),
    volumeMounts: [
      { name: 'rtvoice-pool', mountPath: DOCUMENT_FOLDER, readOnly: true },
      { name: 'rtvoice-work', mountPath: WORK_FOLDER },
    ],
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

function probe(path: string, times: { periodSeconds: number; failureThreshold: number }): Json {
  return { httpGet: { path, port: 'internal' }, timeoutSeconds: 2, ...times };
}

function environment({ id, ref, revision, spec, publicUrl }: PodTemplateOptions): Json[] {
  const values: Record<string, string | undefined> = {
    RTVOICE_NAMESPACE: ref.namespace,
    RTVOICE_POOL: ref.pool,
    RTVOICE_WORKER_ID: id,
    RTVOICE_REVISION: revision,
    RTVOICE_POOL_FILE: `${DOCUMENT_FOLDER}/${DOCUMENT_FILE}`,
    RTVOICE_WORK_DIR: WORK_FOLDER,
    RTVOICE_BIND: '0.0.0.0',
    RTVOICE_PUBLIC_PORT: String(PORTS.public),
    RTVOICE_INTERNAL_PORT: String(PORTS.internal),
    RTVOICE_PUBLIC_URL: publicUrl,
    RTVOICE_INTERNAL_URL: `http://$(POD_IP):${PORTS.internal}`,
    RTVOICE_AFFINITY_SECONDS: String(spec.redis.affinitySeconds),
    RTVOICE_ACS_ENDPOINT: spec.acs?.endpoint,
    RTVOICE_ACS_RESOURCE_ID: spec.acs?.resourceId,
    RTVOICE_EVENTGRID_TOPIC: spec.acs?.eventGridTopic,
    RTVOICE_COSMOS_ENDPOINT: spec.cosmos?.endpoint,
    RTVOICE_COSMOS_DATABASE: spec.cosmos?.database,
  };
  const set = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
  // First, since a later one refers to it.
  return [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }, ...set];
}
