import { ANNOTATIONS, LABELS, PORTS } from '../../../contract/labels.ts';
import type { ContainerStatus, Node, Pod } from '../../kube/objects.ts';
import type { Admission, HostState, Presence, RuntimeWorker, Trouble } from '../ports.ts';
import { WORKER_CONTAINER } from './merge_template.ts';

/**
 * Taints that announce the end of a node: the autoscaler's, Karpenter's and that of an operator. The autoscaler's
 * DeletionCandidateOfClusterAutoscaler is not one of them: it is a plan that may be dropped.
 */
const LEAVING_TAINTS: ReadonlySet<string> = new Set([
  'ToBeDeletedByClusterAutoscaler',
  'karpenter.sh/disrupted',
  'node.kubernetes.io/out-of-service',
  'kubernetes.azure.com/scalesetpriority-preempted',
]);

/** Words of the kubelet for a container that waits, by what is missing. Others are taken for an ordinary start. */
const WAITING: Readonly<Record<string, Trouble['kind']>> = {
  ErrImagePull: 'image',
  ImagePullBackOff: 'image',
  ErrImageNeverPull: 'image',
  InvalidImageName: 'image',
  ImageInspectError: 'image',
  CreateContainerConfigError: 'configuration',
  CreateContainerError: 'configuration',
  RunContainerError: 'configuration',
  CrashLoopBackOff: 'crashLoop',
};

/** What its Pod says of a worker: not its node's state, not its age, which needs a clock, and not its incarnation, which it tells itself. */
export function workerOf(pod: Pod): PodWorker {
  const known = workers.get(pod);
  if (known) return known;
  const worker = describe(pod);
  workers.set(pod, worker);
  return worker;
}

export type PodWorker = Omit<RuntimeWorker, 'host' | 'ageMs' | 'incarnation'>;

/** Objects of the cache are never changed, and every pass and every reading asks. */
const workers = new WeakMap<Pod, PodWorker>();

function describe(pod: Pod): PodWorker {
  const { metadata } = pod;
  const labels = metadata.labels ?? {};
  const annotations = metadata.annotations ?? {};
  const { podIP } = pod.status ?? {};
  return {
    id: metadata.name,
    ref: { namespace: metadata.namespace ?? '', pool: labels[LABELS.pool] ?? '' },
    revision: labels[LABELS.revision] ?? '',
    presence: presenceOf(pod),
    admission: admissionOf(annotations[ANNOTATIONS.admission]),
    admissionReason: annotations[ANNOTATIONS.admissionReason],
    endpoint: podIP ? `http://${podIP.includes(':') ? `[${podIP}]` : podIP}:${PORTS.internal}` : undefined,
    stopping: metadata.deletionTimestamp !== undefined,
    restarts: workerStatus(pod)?.restartCount ?? 0,
    trouble: troubleOf(pod),
    drainAsked: ![undefined, 'false'].includes(annotations[ANNOTATIONS.drain]),
  };
}

/**
 * A started container serves: `Ready` turns false when the node is not reachable or one probe is late, and a worker that has calls must not
 * be taken for one that has none yet. Whether it can take more is said by its figures.
 */
function presenceOf(pod: Pod): Presence {
  const phase = pod.status?.phase;
  if (phase === 'Failed' || phase === 'Succeeded') return 'ended';
  const status = workerStatus(pod);
  return status?.started && status.state?.running ? 'serving' : 'starting';
}

export function workerStatus(pod: Pod): ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find(({ name }) => name === WORKER_CONTAINER);
}

function admissionOf(value: string | undefined): Admission {
  return value === 'cordoned' || value === 'draining' ? value : 'admitting';
}

function troubleOf(pod: Pod): Trouble | undefined {
  const waiting = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
    .map(({ state }) => state?.waiting)
    .find((state) => state?.reason !== undefined && Object.hasOwn(WAITING, state.reason));
  if (waiting?.reason !== undefined) {
    const kind = WAITING[waiting.reason] ?? 'configuration';
    return { kind, reason: waiting.reason, message: waiting.message ?? waiting.reason };
  }
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'False') return undefined;
  return {
    kind: 'unschedulable',
    reason: scheduled.reason ?? 'Unschedulable',
    message: scheduled.message ?? 'no node takes it',
  };
}

/** A node that is not there (any more) gives no sign of life. */
export function hostState(node: Node | undefined): Exclude<HostState, 'unheard'> {
  const ready = node?.status?.conditions?.find(({ type }) => type === 'Ready');
  if (!node || ready?.status === 'Unknown' || ready?.status === 'False') return 'unreachable';
  const taints = node.spec?.taints ?? [];
  const leaves = taints.some(({ key }) => LEAVING_TAINTS.has(key));
  return node.spec?.unschedulable || leaves ? 'leaving' : 'usable';
}
