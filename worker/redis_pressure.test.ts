import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../platform/log.ts';
import { ManualClock } from '../platform/manual_clock.ts';
import { createRegistry } from '../platform/metrics.ts';
import { openLeases } from '../test/support/leases.ts';
import { startRedis } from '../test/support/redis.ts';
import { pressureLevel, RedisPressure } from './redis_pressure.ts';

const MARKS = { ttsCachePercent: 85, callsPercent: 92 };

describe('pressure of Redis', () => {
  it('rises at the marks and falls two points below them', () => {
    const walk = [84, 86, 84, 83, 82, 93, 91, 90, 84, 83, 82].map((percent, _at, _all) => percent);
    let level: ReturnType<typeof pressureLevel> = 'none';
    const levels = walk.map((percent) => (level = pressureLevel(percent, level, MARKS)));
    assert.deepEqual(levels, [
      'none',
      'cache',
      'cache',
      'none',
      'none',
      'calls',
      'calls',
      'cache',
      'cache',
      'none',
      'none',
    ]);
  });

  it('is none where Redis has no memory limit', () => {
    assert.equal(pressureLevel(undefined, 'calls', MARKS), 'none');
  });

  it('is read from a real server, and stays while that does not answer', async () => {
    const redis = await startRedis();
    const { client, close } = await openLeases(redis.url);
    const registry = createRegistry({ processMetrics: false });
    const pressure = new RedisPressure({
      client,
      marks: () => MARKS,
      clock: new ManualClock(),
      log: silentLog,
      registry,
    });
    try {
      await pressure.sample();
      assert.equal(pressure.level, 'none');
      const used = /used_memory:(\d+)/.exec(await client.command<string>('INFO'))?.[1];
      await client.command('CONFIG', 'SET', 'maxmemory', String(Math.round(Number(used) * 1.05)));
      await pressure.sample();
      assert.equal(pressure.level, 'calls');
      assert.match(await registry.metrics(), /rtvoice_redis_pressure 2/);
      await redis.stop();
      await pressure.sample();
      assert.equal(pressure.level, 'calls');
    } finally {
      await close();
      await redis[Symbol.asyncDispose]();
    }
  });
});
