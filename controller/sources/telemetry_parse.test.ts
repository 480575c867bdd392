import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gauge, Histogram, Registry } from '../../platform/metrics.ts';
import { createCallMetrics } from '../../worker/calls/metrics.ts';
import { experienceOf, parseScrape } from './telemetry_parse.ts';

describe('scaling gauges of an exposition', () => {
  it('are read out of a whole registry', async () => {
    const registry = new Registry();
    const registers = [registry];
    const gauge = (name: string, value: number) => new Gauge({ name, help: 'h', registers }).set(value);
    gauge('rtvoice_active_calls', 7);
    gauge('rtvoice_call_capacity', 100);
    gauge('rtvoice_worker_memory_bytes', 1.5e8);
    gauge('rtvoice_relayed_sockets', 2);
    gauge('rtvoice_active_calls_of_another_kind', 99);
    new Histogram({ name: 'rtvoice_event_loop_lag_seconds', help: 'h', registers }).observe(0.1);
    new Gauge({ name: 'rtvoice_worker_info', help: 'h', labelNames: ['incarnation'], registers }).set(
      { incarnation: 'i9' },
      1,
    );
    const scrape = parseScrape(await registry.metrics());
    assert.equal(scrape?.incarnation, 'i9');
    assert.deepEqual(scrape?.figures, {
      activeCalls: 7,
      callCapacity: 100,
      memoryBytes: 1.5e8,
      memoryBaselineBytes: undefined,
      memoryLimitBytes: undefined,
      relayedSockets: 2,
      unsentRecords: undefined,
      oldestCallSeconds: undefined,
      meanCallAgeSeconds: undefined,
      experience: undefined,
    });
  });

  it('tell what callers experienced as a heartbeat of the same process does', async () => {
    const registry = new Registry();
    const metrics = createCallMetrics(registry);
    for (const result of ['ok', 'ok', 'failed', 'refused'] as const) metrics.countSetup(result);
    for (const seconds of [0.25, 0.75]) metrics.timeResponse(seconds);
    for (const seconds of [3, 40, 9_000]) metrics.timeCall(seconds);
    const text = `${await registry.metrics()}rtvoice_active_calls 0\nrtvoice_call_capacity 1\n`;
    const scraped = parseScrape(text)?.figures.experience;
    assert.deepEqual(scraped, experienceOf(metrics.tally.read()));
    assert.deepEqual(
      [scraped?.setups, scraped?.setupFailures, scraped?.responses, scraped?.responseSeconds],
      [3, 1, 2, 1],
    );
    assert.deepEqual([scraped?.callLengths.total, scraped?.callLengths.counts.at(-1)], [3, 2]);
  });

  it('are missing when the two that decide are missing or nonsense', () => {
    assert.equal(parseScrape('rtvoice_active_calls 1\n'), undefined);
    assert.equal(parseScrape('rtvoice_active_calls NaN\nrtvoice_call_capacity 3\n'), undefined);
    assert.equal(
      parseScrape('rtvoice_active_calls{a="b"} 1 1700000000\nrtvoice_call_capacity 3'.repeat(1))?.figures.activeCalls,
      1,
    );
    assert.equal(parseScrape('<html>'), undefined);
  });
});
