import { Counter, Gauge, Histogram, type Registry } from '../platform/metrics.ts';
import type { ScalingVerdict } from './pool/scaling/types.ts';

const RESULTS = ['success', 'error'] as const;
const CONTROLLER = 'voiceworkerpool';
const DECISIONS: readonly (readonly [direction: string, reason: ScalingVerdict])[] = [
  ['up', 'ScaledUp'],
  ['down', 'ScaledDown'],
  ['none', 'Steady'],
  ['none', 'BreachSeen'],
  ['none', 'Stabilising'],
  ['none', 'Frozen'],
  ['none', 'AtMaximum'],
  ['none', 'Given'],
];

/** Names of the controller; those without our prefix are the ones that stock dashboards know. */
export function controllerMetrics(registry: Registry) {
  const registers = [registry];
  const pool = { labelNames: ['namespace', 'pool'] as const, registers };
  const metrics = {
    desiredWorkers: new Gauge({ name: 'rtvoice_desired_workers', help: 'Workers that shall admit calls.', ...pool }),
    readyWorkers: new Gauge({ name: 'rtvoice_ready_workers', help: 'Workers that serve and admit calls.', ...pool }),
    scalingFrozen: new Gauge({
      name: 'rtvoice_scaling_frozen',
      help: '1 while nothing is scaled down, since figures are missing.',
      ...pool,
    }),
    decisions: new Counter({
      name: 'rtvoice_scaling_decisions_total',
      help: 'Scaling decisions.',
      labelNames: ['direction', 'reason'] as const,
      registers,
    }),
    leader: new Gauge({
      name: 'leader_election_master_status',
      help: '1 while this process controls.',
      labelNames: ['name'] as const,
      registers,
    }),
    reconciles: new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Passes of the reconcile loop.',
      labelNames: ['controller', 'result'] as const,
      registers,
    }),
    reconcileErrors: new Counter({
      name: 'controller_runtime_reconcile_errors_total',
      help: 'Passes that failed.',
      labelNames: ['controller'] as const,
      registers,
    }),
    reconcileSeconds: new Histogram({
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'Duration of a pass.',
      labelNames: ['controller'] as const,
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
      registers,
    }),
  };
  // A counter born at 1 never shows as an increase.
  for (const [direction, reason] of DECISIONS) metrics.decisions.inc({ direction, reason }, 0);
  for (const result of RESULTS) metrics.reconciles.inc({ controller: CONTROLLER, result }, 0);
  metrics.reconcileErrors.inc({ controller: CONTROLLER }, 0);
  metrics.leader.set({ name: CONTROLLER }, 0);

  return {
    countDecision(reason: ScalingVerdict): void {
      const direction = DECISIONS.find(([, name]) => name === reason)?.[0] ?? 'none';
      metrics.decisions.inc({ direction, reason });
    },
    countReconcile(result: (typeof RESULTS)[number], seconds: number): void {
      metrics.reconciles.inc({ controller: CONTROLLER, result });
      if (result === 'error') metrics.reconcileErrors.inc({ controller: CONTROLLER });
      metrics.reconcileSeconds.observe({ controller: CONTROLLER }, seconds);
    },
    setLeader(leads: boolean): void {
      metrics.leader.set({ name: CONTROLLER }, leads ? 1 : 0);
    },
    setPool(
      labels: { namespace: string; pool: string },
      values: { desired: number; ready: number; frozen: boolean },
    ): void {
      metrics.desiredWorkers.set(labels, values.desired);
      metrics.readyWorkers.set(labels, values.ready);
      metrics.scalingFrozen.set(labels, values.frozen ? 1 : 0);
    },
  };
}

export type ControllerMetrics = ReturnType<typeof controllerMetrics>;
