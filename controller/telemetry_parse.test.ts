import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gauge, Histogram, Registry } from '../platform/metrics.ts';
import { parseFigures } from './telemetry_parse.ts';

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
    assert.deepEqual(parseFigures(await registry.metrics()), {
      activeCalls: 7,
      callCapacity: 100,
      memoryBytes: 1.5e8,
      memoryBaselineBytes: undefined,
      memoryLimitBytes: undefined,
      relayedSockets: 2,
      unsentRecords: undefined,
    });
  });

  it('are missing when the two that decide are missing or nonsense', () => {
    assert.equal(parseFigures('rtvoice_active_calls 1\n'), undefined);
    assert.equal(parseFigures('rtvoice_active_calls NaN\nrtvoice_call_capacity 3\n'), undefined);
    assert.equal(
      parseFigures('rtvoice_active_calls{a="b"} 1 1700000000\nrtvoice_call_capacity 3'.repeat(1))?.activeCalls,
      1,
    );
    assert.equal(parseFigures('<html>'), undefined);
  });
});
