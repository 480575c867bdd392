import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { ManualClock } from '../platform/manual_clock.ts';
import { cgroupLimitBytes, createWorkerHealth } from './health.ts';

/** A clock whose timers can be late. */
class LateClock extends ManualClock {
  lateMs = 0;
  override monotonicMs(): number {
    return super.monotonicMs() + this.lateMs;
  }
}

const value = async (registry: Registry, name: string) =>
  (await registry.getMetricsAsJSON()).find((metric) => metric.name === name)?.values[0]?.value;

test('event-loop lag: the worst of the last second, and one that lasts', async () => {
  const clock = new LateClock();
  const registry = new Registry();
  const health = createWorkerHealth({ registry, clock, rssBytes: () => 1 });
  clock.advance(1000);
  assert.equal(health.eventLoopLagMs(), 0);
  clock.lateMs = 2500;
  assert.equal(health.eventLoopLagMs(), 2400);
  clock.advance(100);
  assert.equal(health.eventLoopLagMs(), 2500);
  clock.advance(900);
  assert.equal(health.eventLoopLagMs(), 2500);
  clock.advance(100);
  assert.equal(health.eventLoopLagMs(), 0);
  const sum = (await registry.getMetricsAsJSON())
    .find(({ name }) => name === 'rtvoice_event_loop_lag_seconds')
    ?.values.find((entry) => 'metricName' in entry && entry.metricName === 'rtvoice_event_loop_lag_seconds_sum');
  assert.equal(sum?.value, 2.5);
  health.stop();
});

test('memory: the baseline follows until it is frozen, the smallest limit counts', async () => {
  let rss = 100;
  const registry = new Registry();
  const health = createWorkerHealth({
    registry,
    clock: new ManualClock(),
    configuredLimitBytes: 1000,
    rssBytes: () => rss,
  });
  rss = 200;
  assert.deepEqual(health.memory(), { rssBytes: 200, limitBytes: 1000, baselineBytes: 200 });
  health.freezeBaseline();
  rss = 500;
  assert.deepEqual(health.memory(), { rssBytes: 500, limitBytes: 1000, baselineBytes: 200 });
  assert.equal(await value(registry, 'rtvoice_worker_memory_ratio'), 0.5);
  assert.equal(await value(registry, 'rtvoice_worker_memory_baseline_bytes'), 200);
  health.stop();
});

test('the limit of the control group, of either version, or none', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rtvoice-health-'));
  const [v2, v1, none] = [join(folder, 'memory.max'), join(folder, 'limit'), join(folder, 'absent')];
  writeFileSync(v2, 'max\n');
  writeFileSync(v1, '536870912\n');
  assert.equal(cgroupLimitBytes([v2, v1]), 536870912);
  assert.equal(cgroupLimitBytes([none, v2]), Number.POSITIVE_INFINITY);
  rmSync(folder, { recursive: true });
});
