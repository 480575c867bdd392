import type { PoolRef } from '../../contract/ids.ts';
import { FIELD_MANAGER } from '../../contract/labels.ts';
import { POOL_API_VERSION, POOL_KIND } from '../../contract/pool.ts';
import type { Clock } from '../../platform/clock.ts';
import { canonical } from '../../platform/json.ts';
import type { KubeClient } from '../kube/client.ts';
import { POOLS } from '../kube/resources.ts';
import type { KubePool } from './pool_resource.ts';
import { type KubePoolStatus, structureOf } from './pool_status.ts';

/** Figures that move all the time are written no more often than this. */
export const LIVE_PERIOD_MS = 15_000;

interface Written {
  readonly structure: string;
  readonly text: string;
  readonly atMs: number;
}

/** Writes a pool's status when it says something new: changes at once, live figures every 15 s, nothing when nothing has changed. */
export class StatusWriter {
  readonly #client: Pick<KubeClient, 'applyStatus'>;
  readonly #clock: Clock;
  readonly #written = new Map<string, Written>();

  constructor(client: Pick<KubeClient, 'applyStatus'>, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** True when it was written. `pool`: as it is in the cache, to know what an earlier controller wrote. */
  async write(pool: KubePool, status: KubePoolStatus): Promise<boolean> {
    const key = `${pool.metadata.namespace}/${pool.metadata.name}/${pool.metadata.uid}`;
    const nowMs = this.#clock.monotonicMs();
    const before = this.#written.get(key) ?? fromCache(pool);
    const next: Written = { structure: structureOf(status), text: canonical(status), atMs: nowMs };
    if (before?.text === next.text) return false;
    if (before?.structure === next.structure && nowMs - before.atMs < LIVE_PERIOD_MS) return false;
    const { name, namespace, uid } = pool.metadata;
    const metadata = { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) };
    const object = { apiVersion: POOL_API_VERSION, kind: POOL_KIND, metadata, status };
    await this.#client.applyStatus(POOLS, object, { fieldManager: FIELD_MANAGER, force: true });
    this.#written.set(key, next);
    return true;
  }

  forget({ namespace, pool }: PoolRef): void {
    for (const key of this.#written.keys()) if (key.startsWith(`${namespace}/${pool}/`)) this.#written.delete(key);
  }
}

function fromCache(pool: KubePool): Written | undefined {
  if (!pool.status) return undefined;
  const { redisActuation: _byAnother, ...status } = pool.status;
  return status.conditions && status.drains
    ? { structure: structureOf(status), text: canonical(status), atMs: Number.NEGATIVE_INFINITY }
    : undefined;
}
