import type { PoolRef } from './ids.ts';

/** Domain of everything that rtvoice writes on objects of Kubernetes. */
export const DOMAIN = 'rtvoice.dev';

export const LABELS = {
  /** Name of the pool that a Pod, Service or ConfigMap belongs to. */
  pool: `${DOMAIN}/pool`,
  /** Hash of the pool document that a worker was made from. */
  revision: `${DOMAIN}/revision`,
  /** Name of one worker, for what selects it alone. */
  worker: `${DOMAIN}/worker`,
  /** `true` while the worker must not be evicted: what the PodDisruptionBudget selects. */
  protected: `${DOMAIN}/protected`,
  /** `true` while the worker takes new calls: what `/scale` selects. */
  admitting: `${DOMAIN}/admitting`,
} as const;

export const ANNOTATIONS = {
  /** The controller's decision on the worker: `admitting`, `cordoned` or `draining`. */
  admission: `${DOMAIN}/admission`,
  /** Why it is cordoned or draining, in words. */
  admissionReason: `${DOMAIN}/admission-reason`,
  /** Asks for a drain of this one worker: any value but `false`. For people, with `kubectl annotate pod`. */
  drain: `${DOMAIN}/drain`,
  /** Keeps cluster-autoscaler from removing the node under a protected worker. */
  safeToEvict: 'cluster-autoscaler.kubernetes.io/safe-to-evict',
} as const;

/** Keeps a deleted pool until its workers are drained. */
export const DRAIN_FINALIZER = `${DOMAIN}/drain`;
/** Name under which every server-side apply of the controller is done. */
export const FIELD_MANAGER = 'rtvoice-controller';

export const PORTS = {
  /** Call events and media: what the edge reaches. */
  public: 8080,
  /** Relay, hand-off, probes, metrics: what the edge must not reach. */
  internal: 8081,
} as const;

/** The labels that every object of a pool carries; `component` as in the recommended labels of Kubernetes. */
export function poolLabels(ref: PoolRef, component: string): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'rtvoice',
    'app.kubernetes.io/component': component,
    'app.kubernetes.io/instance': ref.pool,
    'app.kubernetes.io/managed-by': 'rtvoice',
    [LABELS.pool]: ref.pool,
  };
}

/** No pool's own name ends so. */
export const WORKER_NAMES_SUFFIX = '-calls';

/** Headless Service that names every worker, starting and ending ones too. */
export function callsService(ref: PoolRef): string {
  return `${ref.pool}${WORKER_NAMES_SUFFIX}`;
}
