import type { PoolSpec } from '../contract/pool.ts';
import type { Clock } from '../platform/clock.ts';
import type { RedisClient } from '../state/redis/client.ts';
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
  redisUrl: string;
  environment: PoolSpec['environment'];
  health: WorkerHealth;
  clock: Clock;
}): HealthProviders {
  const { redis, health, clock, environment } = options;
  return {
    redis_connectivity: () =>
      redis.available
        ? { healthy: true }
        : { healthy: false, note: `no answer for ${Math.round(redis.unavailableForMs)} ms` },
    memory_usage: async () => {
      const { rssBytes, limitBytes } = health.memory();
      if (rssBytes > MEMORY_SHARE * limitBytes)
        return { healthy: false, note: 'worker memory is above 85 % of its limit' };
      return redisMemory(await redis.command<string>('INFO', 'memory'));
    },
    key_expiration_compliance: async () => keysWithoutTtl(await redis.command<string>('INFO', 'keyspace')),
    encryption_validation: () => ({ healthy: environment === 'dev', note: 'records are stored unsealed' }),
    performance_baseline: () => redisLatency(redis, clock),
    security_posture: () => ({
      healthy: options.redisUrl.startsWith('rediss:') || environment === 'dev',
      note: options.redisUrl.startsWith('rediss:') ? 'Redis is reached by TLS' : 'Redis is reached without TLS',
    }),
  };
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
