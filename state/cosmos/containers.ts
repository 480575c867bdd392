import type { ContainerRequest } from '@azure/cosmos';

export type ContainerName = 'transcripts' | 'profiles';

/** Expiry is on, without a default: each item may carry a `ttl` of its own (retention). */
const TTL_PER_ITEM = -1;

/** One partition a call (point reads, batches), one item a turn plus the end record. Text is never searched, so it is not indexed. */
const transcripts = {
  id: 'transcripts',
  partitionKey: { paths: ['/callConnectionId'] },
  defaultTtl: TTL_PER_ITEM,
  indexingPolicy: {
    indexingMode: 'consistent',
    automatic: true,
    includedPaths: [{ path: '/*' }],
    excludedPaths: [{ path: '/text/?' }, { path: '/envelope/*' }, { path: '/"_etag"/?' }],
  },
} as const;

/** One item a caller, under the caller's pseudonym. */
const profiles = {
  id: 'profiles',
  partitionKey: { paths: ['/userId'] },
  defaultTtl: TTL_PER_ITEM,
  indexingPolicy: {
    indexingMode: 'consistent',
    automatic: true,
    includedPaths: [{ path: '/userId/?' }, { path: '/lastCallAtMs/?' }],
    excludedPaths: [{ path: '/*' }, { path: '/"_etag"/?' }],
  },
} as const;

/** Every container of the archive, as code. With Entra credentials the management plane creates them from the same list. */
export const COSMOS_CONTAINERS: readonly (ContainerRequest & {
  id: ContainerName;
  partitionKey: { paths: string[] };
})[] = [transcripts, profiles].map(
  (each) =>
    structuredClone(each) as unknown as ContainerRequest & { id: ContainerName; partitionKey: { paths: string[] } },
);
