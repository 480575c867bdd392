import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../platform/log.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { ControllerLoop } from './loop.ts';
import { createKubeMetrics } from './metrics.ts';
import { RateLimitedQueue } from './queue.ts';

/** Every series of a loop that has done nothing yet, as stock dashboards ask for it. */
const SERIES = [
  'controller_runtime_active_workers{controller="pools"} 0',
  'controller_runtime_max_concurrent_reconciles{controller="pools"} 3',
  'controller_runtime_reconcile_errors_total{controller="pools"} 0',
  'controller_runtime_reconcile_panics_total{controller="pools"} 0',
  'controller_runtime_reconcile_time_seconds_count{controller="pools"} 0',
  'controller_runtime_reconcile_timeouts_total{controller="pools"} 0',
  'controller_runtime_reconcile_total{controller="pools",result="error"} 0',
  'controller_runtime_reconcile_total{controller="pools",result="requeue"} 0',
  'controller_runtime_reconcile_total{controller="pools",result="requeue_after"} 0',
  'controller_runtime_reconcile_total{controller="pools",result="success"} 0',
  'controller_runtime_terminal_reconcile_errors_total{controller="pools"} 0',
  'leader_election_master_status{name="lead"} 0',
  'workqueue_adds_total{controller="pools",name="pools"} 0',
  'workqueue_depth{controller="pools",name="pools"} 0',
  'workqueue_longest_running_processor_seconds{controller="pools",name="pools"} 0',
  'workqueue_queue_duration_seconds_count{controller="pools",name="pools"} 0',
  'workqueue_retries_total{controller="pools",name="pools"} 0',
  'workqueue_unfinished_work_seconds{controller="pools",name="pools"} 0',
  'workqueue_work_duration_seconds_count{controller="pools",name="pools"} 0',
];

test('the series of client-go and controller-runtime are there from the start, at zero', async () => {
  const registry = createRegistry({ processMetrics: false });
  const metrics = createKubeMetrics(registry);
  const clock = new ManualClock();
  const queue = new RateLimitedQueue({ name: 'pools', clock, metrics });
  new ControllerLoop({
    ...{ name: 'pools', queue, concurrency: 3, timeoutMs: 1, clock, metrics, log: silentLog },
    reconcile: () => Promise.resolve(undefined),
  });
  metrics.setLeader('lead', false);
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const found = lines.filter((line) => !/_bucket|_sum/.test(line)).map(sortLabels);
  assert.deepEqual(found.sort(), SERIES);
});

test('requests are counted by code, method and host', async () => {
  const registry = createRegistry({ processMetrics: false });
  createKubeMetrics(registry).requests.inc({ code: '200', method: 'GET', host: 'api:443' });
  assert.match(
    sortLabels((await registry.metrics()).split('\n').find((line) => line.startsWith('rest_client')) ?? ''),
    /^rest_client_requests_total{code="200",host="api:443",method="GET"} 1$/,
  );
});

function sortLabels(line: string): string {
  return line.replace(/{(.*)}/, (_all, labels: string) => `{${labels.split(',').sort().join(',')}}`);
}
