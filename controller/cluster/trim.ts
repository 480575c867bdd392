import { ANNOTATIONS, LABELS } from '../../contract/labels.ts';
import { defined } from '../../platform/json.ts';
import type { ContainerStatus, Node, ObjectMeta, Pod } from '../kube/objects.ts';
import { type KubePool, ownsReplicas } from './pool_resource.ts';

const POD_LABELS: ReadonlySet<string> = new Set(Object.values(LABELS));
const REPLICAS = { 'f:spec': { 'f:replicas': {} } };
const POD_ANNOTATIONS: ReadonlySet<string> = new Set(Object.values(ANNOTATIONS));

/** What is kept of a Pod in the cache: a tenth of it. There may be ten thousand. */
export function trimPod({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const { name, namespace, uid, resourceVersion, deletionTimestamp, labels, annotations } = metadata;
  const kept: ObjectMeta = {
    name,
    ...defined({ namespace, uid, resourceVersion, deletionTimestamp }),
    labels: only(labels, POD_LABELS),
    annotations: only(annotations, POD_ANNOTATIONS),
  };
  return {
    ...defined({ apiVersion, kind }),
    metadata: kept,
    spec: defined({ nodeName: spec?.nodeName }),
    status: {
      ...defined({ phase: status?.phase, podIP: status?.podIP }),
      conditions: (status?.conditions ?? []).filter(({ type }) => type === 'PodScheduled'),
      containerStatuses: (status?.containerStatuses ?? []).map(trimContainer),
      initContainerStatuses: (status?.initContainerStatuses ?? []).map(trimContainer),
    },
  };
}

/** Of the book that the server keeps of who wrote what, only the rows on `spec.replicas`: it is as long as the pool itself. */
export function trimPool(pool: KubePool): KubePool {
  const rows = (pool.metadata.managedFields ?? []).filter(ownsReplicas).map((row) => ({ ...row, fieldsV1: REPLICAS }));
  return { ...pool, metadata: { ...pool.metadata, managedFields: rows } };
}

/** Kubelets write their nodes often; most of what they write is of no use here. */
export function trimNode({ apiVersion, kind, metadata: { name, uid, resourceVersion }, spec, status }: Node): Node {
  return {
    ...defined({ apiVersion, kind }),
    metadata: { name, ...defined({ uid, resourceVersion }) },
    spec: defined({ unschedulable: spec?.unschedulable, taints: spec?.taints }),
    status: { conditions: (status?.conditions ?? []).filter(({ type }) => type === 'Ready') },
  };
}

function trimContainer({ name, started, restartCount, state }: ContainerStatus): ContainerStatus {
  return { name, restartCount, ...defined({ started, state }) };
}

function only(texts: Readonly<Record<string, string>> | undefined, names: ReadonlySet<string>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts ?? {}).filter(([name]) => names.has(name)));
}
