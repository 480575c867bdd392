import type { PoolSpec } from '../contract/pool.ts';
import type { Clock } from '../platform/clock.ts';
import type { RedisClient } from '../state/redis/client.ts';
import type { SealingMode } from '../state/sealing/codec.ts';
import type { WorkerHealth } from './health.ts';
import type { HealthCheck, HealthProviders } from './routes/health_checks.ts';

/** The documents' thresholds: memory 85 %, more than 100 keys without TTL, Redis p99 5 ms. */
const MEMORY_SHARE = 0.85;
const KEYS_WITHOUT_TTL = 100;
const REDIS_LATENCY_MS = 5;
const PINGS = 5;

/** The six checks of the architecture document, fed from what a worker can see by itself. */
export function createHealthProviders(options: {
  redis: RedisClient;
  redisUsesTls: boolean;
  sealingMode: SealingMode;
  environment: PoolSpec['environment'];
  health: WorkerHealth;
  clock: Clock;
}): HealthProviders {
  const { redis, health, clock, environment, redisUsesTls, sealingMode } = options;
  return {
    redis_connectivity: () =>
      redis.available
        ? { healthy: true }
        : { healthy: false, note: `no answer for ${Math.round(redis.unavailableForMs)} ms` },
    memory_usage: async () => {
      const { rssBytes, limitBytes } = health.memory();
      if (rssBytes > MEMORY_SHARE * limitBytes)
        return { healthy: false, note: 'worker memory is above 85 % of its limit' };
      return worst((await infos(redis, 'memory')).map(redisMemory));
    },
    key_expiration_compliance: async () => keysWithoutTtl((await infos(redis, 'keyspace')).join('\n')),
    encryption_validation: () => ({
      healthy: sealingMode !== 'Off' || environment === 'dev',
      note: sealingMode === 'Off' ? 'records are stored unsealed' : `sealing is ${sealingMode}`,
    }),
    performance_baseline: () => redisLatency(redis, clock),
    security_posture: () => ({
      healthy: redisUsesTls || environment === 'dev',
      note: redisUsesTls ? 'Redis is reached by TLS' : 'Redis is reached without TLS',
    }),
  };
}

/** Of each server that holds data. */
function infos(redis: RedisClient, section: string): Promise<string[]> {
  return Promise.all(redis.servers.map((server) => redis.commandAt<string>(server, 'INFO', section)));
}

function worst(checks: readonly HealthCheck[]): HealthCheck {
  return checks.find(({ healthy }) => !healthy) ?? checks[0] ?? { healthy: true };
}

function figure(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
}

function redisMemory(info: string): HealthCheck {
  const limit = figure(info, 'maxmemory');
  if (limit === 0) return { healthy: true, note: 'Redis has no memory limit, so its share is unknown' };
  const share = figure(info, 'used_memory') / limit;
  return share > MEMORY_SHARE ? { healthy: false, note: 'Redis memory is above 85 % of its limit' } : { healthy: true };
}

function keysWithoutTtl(info: string): HealthCheck {
  let without = 0;
  for (const [, keys, expires] of info.matchAll(/keys=(\d+),expires=(\d+)/g)) without += Number(keys) - Number(expires);
  return { healthy: without <= KEYS_WITHOUT_TTL, note: `${without} keys without TTL` };
}

async function redisLatency(redis: RedisClient, clock: Clock): Promise<HealthCheck> {
  const times: number[] = [];
  for (let i = 0; i < PINGS; i++) {
    const startMs = clock.monotonicMs();
    await redis.command('PING');
    times.push(clock.monotonicMs() - startMs);
  }
  const median = times.sort((a, b) => a - b)[Math.floor(PINGS / 2)] ?? 0;
  return { healthy: median < REDIS_LATENCY_MS, note: `Redis answers in ${median.toFixed(1)} ms` };
}
