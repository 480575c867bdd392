import { Counter, Gauge, type Registry } from '../platform/metrics.ts';
import type { ScalingVerdict } from './pool/scaling/types.ts';

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
  };
  // A counter born at 1 never shows as an increase.
  for (const [direction, reason] of DECISIONS) metrics.decisions.inc({ direction, reason }, 0);

  return {
    countDecision(reason: ScalingVerdict): void {
      const direction = DECISIONS.find(([, name]) => name === reason)?.[0] ?? 'none';
      metrics.decisions.inc({ direction, reason });
    },
    setPool(
      labels: { namespace: string; pool: string },
      values: { desired: number; ready: number; frozen: boolean },
    ): void {
      metrics.desiredWorkers.set(labels, values.desired);
      metrics.readyWorkers.set(labels, values.ready);
      metrics.scalingFrozen.set(labels, values.frozen ? 1 : 0);
    },
    /** A gauge of a pool that is gone would stand for ever. */
    forgetPool(labels: { namespace: string; pool: string }): void {
      for (const gauge of [metrics.desiredWorkers, metrics.readyWorkers, metrics.scalingFrozen]) gauge.remove(labels);
    },
  };
}

export type ControllerMetrics = ReturnType<typeof controllerMetrics>;
