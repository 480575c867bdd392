import { Counter, Gauge, type Registry } from '../../platform/metrics.ts';
import type { RedisFigures } from '../../state/redis/figures.ts';
import type { ActuationOutcome, RedisActuator } from './ports.ts';
import type { RedisResource } from './rule.ts';

const ACTUATORS: readonly RedisActuator['type'][] = ['Webhook', 'AzureResourceManager'];
const RESULTS: readonly ActuationOutcome['kind'][] = ['done', 'refused', 'failed'];
const RESOURCES: readonly RedisResource[] = ['memory', 'clients', 'operations'];

/** The names of redis_exporter, since Azure Managed Redis lets no exporter in that asks for CONFIG; `redis` is host and port, never a credential. */
function createTierMetrics(registry: Registry) {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['redis'] as const, registers });
  const up = gauge('redis_up', '1 while Redis answers the controller.');
  const figures = [
    [gauge('redis_memory_used_bytes', 'Memory that Redis uses.'), (f: RedisFigures) => f.usedMemoryBytes],
    [
      gauge('redis_memory_max_bytes', 'Memory limit of Redis; 0 without one.'),
      (f: RedisFigures) => f.maxMemoryBytes ?? 0,
    ],
    [gauge('redis_connected_clients', 'Connections of Redis.'), (f: RedisFigures) => f.clients],
    [
      gauge('redis_config_maxclients', 'Most connections of Redis; 0 when it does not tell.'),
      (f: RedisFigures) => f.maxClients,
    ],
    [gauge('redis_instantaneous_ops_per_sec', 'Operations per second.'), (f: RedisFigures) => f.operationsPerSecond],
  ] as const;
  const needed = new Gauge({
    name: 'rtvoice_redis_scale_needed',
    help: '1 while this resource of Redis is over its threshold.',
    labelNames: ['namespace', 'pool', 'resource'] as const,
    registers,
  });
  const actuations = new Counter({
    name: 'rtvoice_redis_actuations_total',
    help: 'Requests to make Redis larger, by how they ended.',
    labelNames: ['actuator', 'result'] as const,
    registers,
  });
  // A counter born at 1 never shows as an increase.
  for (const actuator of ACTUATORS) for (const result of RESULTS) actuations.inc({ actuator, result }, 0);

  return {
    /** `read`: undefined when Redis did not answer; its last figures stand. */
    setServer(redis: string, read: RedisFigures | undefined): void {
      up.set({ redis }, read ? 1 : 0);
      if (read) for (const [series, value] of figures) series.set({ redis }, value(read));
    },
    forgetServer(redis: string): void {
      for (const series of [up, ...figures.map(([one]) => one)]) series.remove({ redis });
    },
    setNeeds(labels: { namespace: string; pool: string }, needs: readonly RedisResource[]): void {
      for (const resource of RESOURCES) needed.set({ ...labels, resource }, needs.includes(resource) ? 1 : 0);
    },
    forgetPool(labels: { namespace: string; pool: string }): void {
      for (const resource of RESOURCES) needed.remove({ ...labels, resource });
    },
    countActuation(actuator: RedisActuator['type'], result: ActuationOutcome['kind']): void {
      actuations.inc({ actuator, result });
    },
  };
}

export type TierMetrics = ReturnType<typeof createTierMetrics>;

const perRegistry = new WeakMap<Registry, TierMetrics>();

/** The terms of one process share their series: a registry takes each name once. */
export function tierMetrics(registry: Registry): TierMetrics {
  const known = perRegistry.get(registry);
  if (known) return known;
  const made = createTierMetrics(registry);
  perRegistry.set(registry, made);
  return made;
}
