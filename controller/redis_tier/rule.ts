import type { PoolSpec } from '../../contract/pool.ts';
import { memoryPercent, type RedisFigures } from '../../state/redis/figures.ts';

export type RedisResource =
  /** Used memory by the memory limit. */
  | 'memory'
  /** Connections by the most that Redis allows. */
  | 'clients'
  /** Operations per second of one shard by what a shard takes. */
  | 'operations';

/** How full each resource is; undefined where it cannot be known. */
export type TierLoad = Readonly<Record<RedisResource, number | undefined>>;

type ScaleAt = PoolSpec['redis']['scaleAt'];

/** Readings in a row over a threshold before more is asked for: a burst of two seconds needs no larger Redis. */
export const READINGS_TO_NEED = 3;
/** The need is over this far below its threshold, so that it does not come and go with every call. */
const RELIEF_PERCENT = 5;
const RELIEF_OPERATIONS_SHARE = 0.9;

/** What one judgement hands to the next. */
export interface TierMemory {
  /** Readings in a row over each threshold. */
  readonly over: Readonly<Record<RedisResource, number>>;
  /** What asks for a larger Redis now. */
  readonly needs: readonly RedisResource[];
}

export const NO_NEED: TierMemory = { over: { memory: 0, clients: 0, operations: 0 }, needs: [] };
const RESOURCES: readonly RedisResource[] = ['memory', 'clients', 'operations'];

/**
 * Percent of memory and connections, operations per second of a shard: operations are spread over the pool's `shards`. A server that answers us
 * uses some memory and has at least our connection: 0 means that it does not tell, and is no load.
 */
export function loadOf(figures: RedisFigures, { shards }: Pick<ScaleAt, 'shards'>): TierLoad {
  const { usedMemoryBytes, clients, maxClients, operationsPerSecond } = figures;
  return {
    memory: usedMemoryBytes > 0 ? memoryPercent(figures) : undefined,
    clients: clients > 0 && maxClients > 0 ? (100 * clients) / maxClients : undefined,
    operations: operationsPerSecond / shards,
  };
}

/** One judgement, pure. A figure that is not known neither begins nor ends a need. */
export function judgeTier(before: TierMemory, load: TierLoad, scaleAt: ScaleAt): TierMemory {
  const over = { ...before.over };
  const needs = RESOURCES.filter((resource) => {
    const value = load[resource];
    const needed = before.needs.includes(resource);
    if (value === undefined) return needed;
    const threshold = thresholdOf(resource, scaleAt);
    over[resource] = value > threshold ? Math.min(READINGS_TO_NEED, over[resource] + 1) : 0;
    return needed ? value >= reliefOf(resource, threshold) : over[resource] >= READINGS_TO_NEED;
  });
  return { over, needs };
}

export function thresholdOf(resource: RedisResource, scaleAt: ScaleAt): number {
  if (resource === 'memory') return scaleAt.memoryPercent;
  return resource === 'clients' ? scaleAt.clientsPercent : scaleAt.operationsPerSecondPerShard;
}

function reliefOf(resource: RedisResource, threshold: number): number {
  return resource === 'operations' ? threshold * RELIEF_OPERATIONS_SHARE : threshold - RELIEF_PERCENT;
}
