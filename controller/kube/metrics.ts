import { Counter, Gauge, Histogram, type Registry } from '../../platform/metrics.ts';

/** Results of one pass, as controller-runtime names them. */
export type ReconcileResult = 'error' | 'requeue_after' | 'requeue' | 'success';

const RESULTS: readonly ReconcileResult[] = ['error', 'requeue_after', 'requeue', 'success'];
const QUEUE_BUCKETS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000];
const RECONCILE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export type KubeMetrics = ReturnType<typeof createKubeMetrics>;

/** Seconds that each key worked on now has taken so far. */
export type QueueProbe = () => readonly number[];

/** The metrics that stock dashboards of controllers know: names and labels of client-go and controller-runtime. */
export function createKubeMetrics(registry: Registry) {
  const registers = [registry];
  const queue = queueMetrics(registry);
  const loop = loopMetrics(registry);
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server by status; <error> for no answer.',
    labelNames: ['code', 'method', 'host'] as const,
    registers,
  });
  const leader = new Gauge({
    name: 'leader_election_master_status',
    help: '1 while this process leads.',
    labelNames: ['name'] as const,
    registers,
  });
  return {
    queue,
    loop,
    requests,
    /** Every series is there from the start: one born at 1 never shows as an increase. */
    declareQueue(name: string, probe: QueueProbe): void {
      const labels = { name, controller: name };
      queue.probes.set(name, probe);
      queue.depth.set(labels, 0);
      for (const counter of [queue.adds, queue.retries]) counter.inc(labels, 0);
      for (const histogram of [queue.waitSeconds, queue.workSeconds]) histogram.zero(labels);
    },
    declareLoop(controller: string, concurrency: number): void {
      for (const result of RESULTS) loop.total.inc({ controller, result }, 0);
      for (const counter of [loop.errors, loop.terminal, loop.panics, loop.timeouts]) counter.inc({ controller }, 0);
      loop.seconds.zero({ controller });
      loop.active.set({ controller }, 0);
      loop.concurrency.set({ controller }, concurrency);
    },
    setLeader(name: string, leads: boolean): void {
      leader.set({ name }, leads ? 1 : 0);
    },
  };
}

function queueMetrics(registry: Registry) {
  const queueLabels = { labelNames: ['name', 'controller'] as const, registers: [registry] };
  const probes = new Map<string, QueueProbe>();
  // Asked for when the metrics are read: between two changes of a queue, a key that hangs would not show.
  const measured = (name: string, help: string, of: (seconds: readonly number[]) => number) =>
    new Gauge({
      ...{ name, help, ...queueLabels },
      collect() {
        for (const [queue, probe] of probes) this.set({ name: queue, controller: queue }, of(probe()));
      },
    });
  return {
    probes,
    depth: new Gauge({ name: 'workqueue_depth', help: 'Keys that wait.', ...queueLabels }),
    adds: new Counter({ name: 'workqueue_adds_total', help: 'Keys added.', ...queueLabels }),
    retries: new Counter({ name: 'workqueue_retries_total', help: 'Keys added again after an error.', ...queueLabels }),
    waitSeconds: new Histogram({
      ...{ name: 'workqueue_queue_duration_seconds', help: 'Time a key waits.', buckets: QUEUE_BUCKETS },
      ...queueLabels,
    }),
    workSeconds: new Histogram({
      ...{ name: 'workqueue_work_duration_seconds', help: 'Time a key is worked on.', buckets: QUEUE_BUCKETS },
      ...queueLabels,
    }),
    unfinishedSeconds: measured(
      'workqueue_unfinished_work_seconds',
      'Sum of the times of keys worked on now.',
      (seconds) => seconds.reduce((total, one) => total + one, 0),
    ),
    longestSeconds: measured(
      'workqueue_longest_running_processor_seconds',
      'Longest time of a key worked on now.',
      (seconds) => Math.max(0, ...seconds),
    ),
  };
}

function loopMetrics(registry: Registry) {
  const registers = [registry];
  const loopLabels = { labelNames: ['controller'] as const, registers };
  return {
    total: new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Passes of the loop by result.',
      labelNames: ['controller', 'result'] as const,
      registers,
    }),
    errors: new Counter({
      name: 'controller_runtime_reconcile_errors_total',
      help: 'Passes that failed.',
      ...loopLabels,
    }),
    terminal: new Counter({
      ...{ name: 'controller_runtime_terminal_reconcile_errors_total', help: 'Passes that failed for good.' },
      ...loopLabels,
    }),
    panics: new Counter({
      ...{ name: 'controller_runtime_reconcile_panics_total', help: 'Passes that failed by a fault of the program.' },
      ...loopLabels,
    }),
    timeouts: new Counter({
      ...{ name: 'controller_runtime_reconcile_timeouts_total', help: 'Passes that took too long.' },
      ...loopLabels,
    }),
    seconds: new Histogram({
      ...{ name: 'controller_runtime_reconcile_time_seconds', help: 'Time of a pass.', buckets: RECONCILE_BUCKETS },
      ...loopLabels,
    }),
    concurrency: new Gauge({
      ...{ name: 'controller_runtime_max_concurrent_reconciles', help: 'Passes at once at the most.' },
      ...loopLabels,
    }),
    active: new Gauge({ name: 'controller_runtime_active_workers', help: 'Passes that run now.', ...loopLabels }),
  };
}
