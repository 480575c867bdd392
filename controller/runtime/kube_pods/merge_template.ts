/** JSON as it comes from a field of the pool that the API server does not look into. */
export type Json = { [key: string]: unknown };

const isObject = (value: unknown): value is Json =>
  value !== null && typeof value === 'object' && !Array.isArray(value);
const objectsOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);
const nameOf = (value: Json): string => (typeof value.name === 'string' ? value.name : '');

/** Lists of a Pod's spec whose entries have names: ours stay, others join them. */
const NAMED_LISTS: ReadonlySet<string> = new Set(['volumes', 'initContainers', 'imagePullSecrets']);
/** Fields of a Pod's spec that the template may replace as a whole. */
const REPLACEABLE: ReadonlySet<string> = new Set([
  'topologySpreadConstraints',
  'automountServiceAccountToken',
  'enableServiceLinks',
]);
/** Of the container `worker`: everything else is ours. */
const CONTAINER_FIELDS = ['env', 'envFrom', 'volumeMounts'] as const;

/** The name of the container that runs the worker, in the template too. */
export const WORKER_CONTAINER = 'worker';

/**
 * A Pod's spec with the pool's template under it: what rtvoice sets stays (names, ports, probes, grace period), the rest is the template's.
 * Security contexts are merged field by field with the template winning, since clusters differ in what they allow.
 */
export function mergePodSpec(ours: Json, template: Json): Json {
  const merged: Json = { ...ours };
  for (const [field, value] of Object.entries(template)) {
    if (field === 'containers') merged.containers = mergeContainers(objectsOf(ours.containers), objectsOf(value));
    else if (field === 'tolerations') merged.tolerations = [...objectsOf(ours.tolerations), ...objectsOf(value)];
    else if (field === 'securityContext' && isObject(value)) merged[field] = { ...asObject(ours[field]), ...value };
    else if (NAMED_LISTS.has(field)) merged[field] = joinByName(objectsOf(ours[field]), objectsOf(value));
    else if (!(field in ours) || REPLACEABLE.has(field)) merged[field] = value;
  }
  return merged;
}

function mergeContainers(ours: Json[], template: Json[]): Json[] {
  const extra = template.find((container) => nameOf(container) === WORKER_CONTAINER);
  const sidecars = template.filter((container) => nameOf(container) !== WORKER_CONTAINER);
  return [...ours.map((container) => (extra ? mergeWorker(container, extra) : container)), ...sidecars];
}

function mergeWorker(ours: Json, template: Json): Json {
  const merged: Json = { ...ours };
  for (const field of CONTAINER_FIELDS) {
    const joined =
      field === 'envFrom'
        ? [...objectsOf(template[field]), ...objectsOf(ours[field])]
        : joinByName(objectsOf(ours[field]), objectsOf(template[field]));
    if (joined.length > 0) merged[field] = joined;
  }
  if (isObject(template.securityContext))
    merged.securityContext = { ...asObject(ours.securityContext), ...template.securityContext };
  if (isObject(template.resources)) merged.resources = mergeResources(asObject(ours.resources), template.resources);
  return merged;
}

/** The memory limit stays ours: the worker's admission and the scaling rule count with it. */
function mergeResources(ours: Json, template: Json): Json {
  const requests = { ...asObject(ours.requests), ...asObject(template.requests) };
  const limits = { ...asObject(template.limits), ...asObject(ours.limits) };
  return { ...template, ...ours, requests, limits };
}

function joinByName(ours: Json[], template: Json[]): Json[] {
  const taken = new Set(ours.map(nameOf));
  return [...template.filter((entry) => !taken.has(nameOf(entry))), ...ours];
}

function asObject(value: unknown): Json {
  return isObject(value) ? value : {};
}

/** Labels or annotations of the template; values that are not text are dropped. */
export function textMap(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(asObject(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
