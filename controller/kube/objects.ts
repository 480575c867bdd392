/** Objects of the API server as JSON: only the fields that the controller reads or writes. */

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  name: string;
  /** With an empty name: the server makes one that begins so. */
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  /** RFC 3339. */
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: ManagedFields[];
}

/** Who wrote which fields, and when; see the server-side apply documentation. */
export interface ManagedFields {
  manager?: string;
  operation?: string;
  subresource?: string;
  time?: string;
  fieldsV1?: Record<string, unknown>;
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

export interface ContainerStatus {
  name: string;
  started?: boolean;
  ready?: boolean;
  restartCount: number;
  state?: {
    running?: { startedAt?: string };
    waiting?: { reason?: string; message?: string };
    terminated?: { reason?: string; exitCode?: number };
  };
}

export interface KubeCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

export interface Pod extends KubeObject {
  spec?: { nodeName?: string; hostname?: string; subdomain?: string; terminationGracePeriodSeconds?: number };
  status?: {
    phase?: string;
    reason?: string;
    podIP?: string;
    conditions?: KubeCondition[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

export interface Taint {
  key: string;
  value?: string;
  effect: string;
}

export interface Node extends KubeObject {
  spec?: { unschedulable?: boolean; taints?: Taint[] };
  status?: { conditions?: KubeCondition[] };
}

export interface Service extends KubeObject {
  spec?: {
    clusterIP?: string;
    publishNotReadyAddresses?: boolean;
    selector?: Record<string, string>;
    ports?: { name?: string; port: number; targetPort?: number | string; protocol?: string }[];
  };
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

/** `data` is base64. */
export interface Secret extends KubeObject {
  data?: Record<string, string>;
}

export interface PodDisruptionBudget extends KubeObject {
  spec?: { maxUnavailable?: number | string; minAvailable?: number | string; selector?: LabelSelector };
}

export interface LabelSelector {
  matchLabels?: Record<string, string>;
}

/** Times are RFC 3339 with exactly six decimals (MicroTime): the server refuses others. */
export interface Lease extends KubeObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export interface ObjectReference {
  apiVersion?: string;
  kind?: string;
  namespace?: string;
  name?: string;
  uid?: string;
  resourceVersion?: string;
}

/** events.k8s.io/v1. */
export interface KubeEvent extends KubeObject {
  eventTime: string;
  reportingController: string;
  reportingInstance: string;
  action: string;
  reason: string;
  note: string;
  type: 'Normal' | 'Warning';
  regarding: ObjectReference;
  series?: { count: number; lastObservedTime: string };
}

export interface HttpRoute extends KubeObject {
  spec?: object;
}

export interface KubeList<T> {
  items: T[];
  resourceVersion: string;
  /** Token of the next page. */
  continue?: string;
}

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  /** Nothing changed up to this version. */
  | { type: 'BOOKMARK'; object: { metadata: { resourceVersion: string } } }
  /** `object` is a Status; code 410 means that the version is too old. */
  | { type: 'ERROR'; object: KubeStatus };

/** What the server answers instead of an object. */
export interface KubeStatus {
  kind?: string;
  code?: number;
  reason?: string;
  message?: string;
  details?: { retryAfterSeconds?: number; causes?: { reason?: string; field?: string; message?: string }[] };
}
