import { POOL_API_VERSION, POOL_KIND, type PoolSpec, type VoiceWorkerPool } from '../../contract/pool.ts';
import type { KubeObject, ManagedFields, ObjectMeta } from '../kube/objects.ts';
import { POOLS, type Resource } from '../kube/resources.ts';
import { NOTHING_REMEMBERED, type PoolObject, type Remembered } from '../pool/ports.ts';
import type { KubePoolStatus } from './pool_status.ts';

/** A pool as the API server gives it: validated and defaulted there. */
export interface KubePool extends KubeObject {
  readonly metadata: ObjectMeta;
  readonly spec: PoolSpec;
  readonly status?: KubePoolStatus;
}

export const KUBE_POOLS = POOLS as Resource<KubePool>;

export function poolObject(pool: KubePool): PoolObject {
  const known = objects.get(pool) ?? read(pool);
  objects.set(pool, known);
  return known;
}

/** Resources of the cache are never changed, and every pass asks. */
const objects = new WeakMap<KubePool, PoolObject>();

function read(pool: KubePool): PoolObject {
  const { name, namespace = '', uid, generation = 1, deletionTimestamp } = pool.metadata;
  return {
    ref: { namespace, pool: name },
    uid,
    document: documentOf(name, namespace, pool.spec),
    generation,
    deleting: deletionTimestamp !== undefined,
    replicas: pool.spec.replicas,
    replicasManager: managerOfReplicas(pool),
    remembered: rememberedOf(pool.status),
    redisActuation: pool.status?.redisActuation,
  };
}

/** The document without what the server keeps beside it: what workers read. */
export function documentOf(name: string, namespace: string, spec: PoolSpec): VoiceWorkerPool {
  return { apiVersion: POOL_API_VERSION, kind: POOL_KIND, metadata: { name, namespace }, spec };
}

export function ownsReplicas({ fieldsV1 }: ManagedFields): boolean {
  const spec = fieldsV1?.['f:spec'] as Record<string, unknown> | undefined;
  return spec !== undefined && 'f:replicas' in spec;
}

/** The manager that wrote `spec.replicas` last. */
function managerOfReplicas({ metadata }: KubePool): string | undefined {
  const writers = (metadata.managedFields ?? []).filter(ownsReplicas);
  // RFC 3339 in UTC sorts as text.
  return writers.sort((a, b) => (a.time ?? '').localeCompare(b.time ?? '')).at(-1)?.manager;
}

function rememberedOf(status: KubePoolStatus | undefined): Remembered {
  if (!status) return NOTHING_REMEMBERED;
  const { wantedWorkers, scaleRequest, rollout, revision, updateRevision, lastScaling, conditions } = status;
  return {
    wanted: wantedWorkers,
    scale: scaleRequest,
    rollout:
      rollout && revision !== undefined && updateRevision !== undefined
        ? {
            phase: rollout.phase,
            stable: revision,
            update: updateRevision,
            reason: rollout.message,
            failed: rollout.failed ?? false,
          }
        : undefined,
    lastScaling,
    conditions: conditions ?? [],
  };
}
