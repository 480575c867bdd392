import type {
  ConfigMap,
  HttpRoute,
  KubeEvent,
  KubeObject,
  Lease,
  Node,
  Pod,
  PodDisruptionBudget,
  Secret,
  Service,
} from './objects.ts';

/** One kind of object and its place in the API. */
export interface Resource<T extends KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Its caches keep `managedFields`, which are most of an object's bytes: somebody reads who wrote a field. */
  readonly keepsManagedFields?: boolean;
  /** Never set: carries the type of the objects. */
  readonly _type?: T;
}

const core = <T extends KubeObject>(plural: string, kind: string, namespaced = true): Resource<T> => ({
  ...{ group: '', version: 'v1', plural, kind, namespaced },
});

export const PODS = core<Pod>('pods', 'Pod');
export const NODES = core<Node>('nodes', 'Node', false);
export const SERVICES = core<Service>('services', 'Service');
export const CONFIG_MAPS = core<ConfigMap>('configmaps', 'ConfigMap');
export const SECRETS = core<Secret>('secrets', 'Secret');
export const PDBS: Resource<PodDisruptionBudget> = {
  ...{ group: 'policy', version: 'v1', plural: 'poddisruptionbudgets', kind: 'PodDisruptionBudget', namespaced: true },
};
export const LEASES: Resource<Lease> = {
  ...{ group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', namespaced: true },
};
export const EVENTS: Resource<KubeEvent> = {
  ...{ group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event', namespaced: true },
};
export const HTTP_ROUTES: Resource<HttpRoute> = {
  ...{ group: 'gateway.networking.k8s.io', version: 'v1', plural: 'httproutes', kind: 'HTTPRoute', namespaced: true },
};
export const POOLS: Resource<KubeObject> = {
  ...{
    group: 'rtvoice.dev',
    version: 'v1alpha1',
    plural: 'voiceworkerpools',
    kind: 'VoiceWorkerPool',
    namespaced: true,
    keepsManagedFields: true,
  },
};
export const CRDS: Resource<KubeObject> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

export interface ObjectRef {
  readonly namespace?: string;
  readonly name: string;
}

/** `v1` or `<group>/<version>`. */
export function apiVersionOf({ group, version }: Resource<KubeObject>): string {
  return group === '' ? version : `${group}/${version}`;
}

/** Path of the collection, of one object, or of a subresource of it. */
export function pathOf(
  resource: Resource<KubeObject>,
  { namespace, name, subresource }: { namespace?: string | undefined; name?: string; subresource?: string } = {},
): string {
  const { group, version, plural, namespaced } = resource;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const inside = namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const one = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${inside}/${plural}${one}${subresource === undefined ? '' : `/${subresource}`}`;
}
