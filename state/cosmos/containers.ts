import type { ContainerRequest, PartitionKeyKind } from '@azure/cosmos';

export type ContainerName = 'transcripts' | 'profiles' | 'analytics' | 'audit' | 'metrics' | 'keys';

/**
 * Layout of the documents in all containers. Additions do not raise it: readers keep what they do not know. A reader of a document
 * with a higher number may not understand it.
 */
export const DOCUMENT_SCHEMA_VERSION = 1;

export interface ContainerSpec {
  readonly id: ContainerName;
  /** One path is hashed as it is; several make a hierarchical key, whose prefixes can be queried. */
  readonly partitionKey: { readonly paths: readonly string[] };
  /** Seconds; -1 turns expiry on and leaves it to each document's `ttl`. */
  readonly defaultTtl: number;
  /** Paths that are indexed, and those that are not. Whatever is not indexed costs no request units when it is written. */
  readonly index: { readonly included: readonly string[]; readonly excluded: readonly string[] };
  /** Values that may stand only once in a partition. Cannot be changed in place. */
  readonly uniqueKeys: readonly (readonly string[])[];
}

/** Expiry is on, without a default: each item may carry a `ttl` of its own (retention). */
const TTL_PER_ITEM = -1;
const DAY_SECONDS = 86_400;

/** Every container of the archive, as code. With Entra credentials the management plane creates them from the same list. */
export const CONTAINER_SPECS: readonly ContainerSpec[] = [
  {
    // One partition a call: point reads, batches, a whole call by one query. One item a turn plus the end record, never one growing
    // array: an item ends at 2 MB. Text and sealed fields are never searched.
    id: 'transcripts',
    partitionKey: { paths: ['/callConnectionId'] },
    defaultTtl: TTL_PER_ITEM,
    index: { included: ['/*'], excluded: ['/text/?', '/sealed/?', '/envelope/*', '/shadowed/*'] },
    uniqueKeys: [],
  },
  {
    // One item a caller, under the caller's pseudonym; the unique key keeps a second one out whatever its id.
    id: 'profiles',
    partitionKey: { paths: ['/userId'] },
    defaultTtl: TTL_PER_ITEM,
    index: { included: ['/userId/?', '/lastCallAtMs/?'], excluded: ['/*'] },
    uniqueKeys: [['/userId']],
  },
  {
    // Reports read whole days; the suffix spreads the writes of one day over sixteen partitions.
    id: 'analytics',
    partitionKey: { paths: ['/dayBucket'] },
    defaultTtl: 400 * DAY_SECONDS,
    index: { included: ['/*'], excluded: ['/latencies/*', '/envelope/*', '/shadowed/*'] },
    uniqueKeys: [],
  },
  {
    // Append-only. With the id as last level no partition can reach the 20 GB limit, and a tenant or a month is still one prefix.
    id: 'audit',
    partitionKey: { paths: ['/tenantId', '/month', '/id'] },
    defaultTtl: TTL_PER_ITEM,
    index: { included: ['/atMs/?', '/actor/?', '/operation/?', '/month/?', '/tenantId/?'], excluded: ['/*'] },
    uniqueKeys: [],
  },
  {
    // Snapshots are read as a time range of one pool; after a month Prometheus' own long-term store is the place to look.
    id: 'metrics',
    partitionKey: { paths: ['/pool', '/day'] },
    defaultTtl: 31 * DAY_SECONDS,
    index: { included: ['/atMs/?', '/worker/?', '/pool/?', '/day/?'], excluded: ['/*'] },
    uniqueKeys: [],
  },
  {
    // Wrapped keys of one caller together, so that erasing a caller is one partition. Read by caller and id alone.
    id: 'keys',
    partitionKey: { paths: ['/callerId'] },
    defaultTtl: TTL_PER_ITEM,
    index: { included: ['/callerId/?', '/tenantKeyId/?'], excluded: ['/*'] },
    uniqueKeys: [],
  },
];

/** The same as requests of the SDK. */
export const COSMOS_CONTAINERS: readonly (ContainerRequest & {
  id: ContainerName;
  partitionKey: { paths: string[] };
  defaultTtl: number;
})[] = CONTAINER_SPECS.map(containerRequest);

export function containerRequest(spec: ContainerSpec) {
  const paths = [...spec.partitionKey.paths];
  // The SDK's own names, whose module is too slow to load for two words.
  const kind = (paths.length > 1 ? 'MultiHash' : 'Hash') as string as PartitionKeyKind;
  return {
    id: spec.id,
    // Version 2 hashes the whole of a key; version 1 only its first hundred bytes.
    partitionKey: { paths, kind, version: 2 },
    defaultTtl: spec.defaultTtl,
    indexingPolicy: indexingPolicy(spec),
    uniqueKeyPolicy: { uniqueKeys: spec.uniqueKeys.map((keys) => ({ paths: [...keys] })) },
  };
}

export function indexingPolicy({ index }: ContainerSpec) {
  return {
    indexingMode: 'consistent' as const,
    automatic: true,
    includedPaths: index.included.map((path) => ({ path })),
    // The service adds this one by itself.
    excludedPaths: [...index.excluded, '/"_etag"/?'].map((path) => ({ path })),
  };
}

export function specOf(name: ContainerName): ContainerSpec {
  const found = CONTAINER_SPECS.find(({ id }) => id === name);
  if (!found) throw new RangeError(`no container is called ${name}`);
  return found;
}
