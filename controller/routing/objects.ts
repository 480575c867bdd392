import type { PoolRef } from '../../contract/ids.ts';
import { callsService, LABELS, PORTS, poolLabels } from '../../contract/labels.ts';
import type { PoolSpec } from '../../contract/pool.ts';
import { ringPath } from '../../contract/urls.ts';
import type { HttpRoute, ObjectMeta, OwnerReference, PodDisruptionBudget, Service } from '../kube/objects.ts';

/** Whose objects these are. */
export interface Owned {
  readonly ref: PoolRef;
  readonly owner: OwnerReference;
}

function metadata({ ref, owner }: Owned, name: string, component: string): ObjectMeta {
  return { name, namespace: ref.namespace, labels: poolLabels(ref, component), ownerReferences: [owner] };
}

const ofPool = ({ ref }: Owned): Record<string, string> => ({ [LABELS.pool]: ref.pool });

/** Names every worker, starting and ending ones too: the edge finds the owner of a call by it, also while that one drains. */
export function workerNames(owned: Owned): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(owned, callsService(owned.ref), 'names'),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: ofPool(owned),
      ports: [{ name: 'public', port: PORTS.public, targetPort: 'public' }],
    },
  };
}

/** Any worker that serves: for rings, and for calls whose owner cannot be reached. One address, so that each try may be another worker. */
export function anyWorker(owned: Owned): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(owned, owned.ref.pool, 'any-worker'),
    spec: {
      selector: ofPool(owned),
      ports: [{ name: 'public', port: PORTS.public, targetPort: 'public' }],
    },
  };
}

/** More than any pool has. */
const EVERY_ONE = 2 ** 31 - 1;

/**
 * Nobody evicts a protected worker: the controller takes the label away once it is empty. Not by `maxUnavailable: 0`, which Kubernetes counts from the number
 * that `/scale` asks for: with draining workers above that number it would give those above it free, calls and all.
 */
export function budget(owned: Owned): PodDisruptionBudget {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadata(owned, owned.ref.pool, 'budget'),
    spec: { minAvailable: EVERY_ONE, selector: { matchLabels: { ...ofPool(owned), [LABELS.protected]: 'true' } } },
  };
}

/** The Service of one worker, which a route of the Gateway API can point to. */
export function workerService(owned: Owned, worker: string): Service {
  const meta = metadata(owned, worker, 'worker');
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta,
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: { ...ofPool(owned), [LABELS.worker]: worker },
      ports: [{ name: 'public', port: PORTS.public, targetPort: 'public' }],
    },
  };
}

type Gateway = NonNullable<PoolSpec['routing']['gateway']>;

/** The longest call: a route's request must not be cut while a WebSocket is inside it. 0 is no limit. */
const NO_TIMEOUT = { request: '0s' };

/** Calls of one worker go to it. */
export function workerRoute(owned: Owned, gateway: Gateway, worker: string): HttpRoute {
  const { namespace, pool } = owned.ref;
  return route(owned, worker, gateway, [{ prefix: `/w/${namespace}/${pool}/${worker}/c/`, service: worker }]);
}

/** Rings, and calls whose worker has no route (any more), go to any worker. Longer prefixes win, so worker routes come first. */
export function defaultRoute(owned: Owned, gateway: Gateway): HttpRoute {
  const { namespace, pool } = owned.ref;
  return route(owned, pool, gateway, [
    { exact: ringPath(owned.ref), service: pool },
    { prefix: `/w/${namespace}/${pool}/`, service: pool },
  ]);
}

interface Rule {
  readonly prefix?: string;
  readonly exact?: string;
  readonly service: string;
}

function route(owned: Owned, name: string, gateway: Gateway, rules: readonly Rule[]): HttpRoute {
  const parent = {
    name: gateway.name,
    ...(gateway.namespace === undefined ? {} : { namespace: gateway.namespace }),
    ...(gateway.sectionName === undefined ? {} : { sectionName: gateway.sectionName }),
  };
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: metadata(owned, name, 'route'),
    spec: {
      parentRefs: [parent],
      ...(gateway.hostname === undefined ? {} : { hostnames: [gateway.hostname] }),
      rules: rules.map(({ prefix, exact, service }) => ({
        matches: [{ path: { type: exact === undefined ? 'PathPrefix' : 'Exact', value: exact ?? prefix } }],
        timeouts: NO_TIMEOUT,
        backendRefs: [{ name: service, port: PORTS.public }],
      })),
    },
  };
}
