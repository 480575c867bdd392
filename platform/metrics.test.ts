import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, createRegistry, STORE_LATENCY_BUCKETS } from './metrics.ts';

test('two registries do not share series', async () => {
  const registries = [createRegistry({ processMetrics: false }), createRegistry({ processMetrics: false })];
  for (const registry of registries)
    new Counter({ name: 'rtvoice_test_total', help: 'Test.', registers: [registry] }).inc();
  for (const registry of registries) assert.match(await registry.metrics(), /rtvoice_test_total 1\n/);
});

test('process metrics come only when asked for', async () => {
  assert.match(await createRegistry({ processMetrics: true }).metrics(), /process_resident_memory_bytes/);
  assert.equal((await createRegistry({ processMetrics: false }).metrics()).trim(), '');
});

test('latency buckets rise and have edges at the documented 2, 5 and 10 ms', () => {
  assert.deepEqual(
    STORE_LATENCY_BUCKETS,
    [...STORE_LATENCY_BUCKETS].sort((a, b) => a - b),
  );
  for (const edge of [0.002, 0.005, 0.01]) assert.ok(STORE_LATENCY_BUCKETS.includes(edge));
});
