import type { PoolSpec } from './pool.gen.ts';

/** A rule over several fields, which the schema of a single field cannot say. */
export interface PoolRule {
  /** The field to name, as in `spec.minWorkers`. */
  field: string;
  holds(spec: PoolSpec): boolean;
  /** What is wrong, and what to do. */
  fault: string;
}

/** The example that ships with the product, as a value of `spec.voice.dialogue`. */
export const BUILTIN_DIALOGUE = 'builtin:example';

export const POOL_RULES: readonly PoolRule[] = [
  {
    field: 'spec.minWorkers',
    holds: (spec) => spec.minWorkers <= spec.maxWorkers,
    fault: 'is more than spec.maxWorkers; lower it or raise spec.maxWorkers',
  },
  {
    field: 'spec.worker.hardSlotLimit',
    holds: (spec) => spec.worker.hardSlotLimit >= spec.slotsPerWorker,
    fault: 'is less than spec.slotsPerWorker; raise it to at least that number',
  },
  {
    // Equal thresholds would add a worker and retire it again without end.
    field: 'spec.scaling.scaleDownConnectionsPercent',
    holds: ({ scaling }) => scaling.scaleDownConnectionsPercent < scaling.connectionsThresholdPercent,
    fault: 'is not less than spec.scaling.connectionsThresholdPercent; leave some points between the two',
  },
  {
    field: 'spec.scaling.scaleDownMemoryPercent',
    holds: ({ scaling }) => scaling.scaleDownMemoryPercent < scaling.memoryThresholdPercent,
    fault: 'is not less than spec.scaling.memoryThresholdPercent; leave some points between the two',
  },
  {
    field: 'spec.overflow.redirectTo',
    holds: ({ overflow }) => overflow.action !== 'Redirect' || overflow.redirectTo !== undefined,
    fault: 'is not set, but spec.overflow.action is Redirect; name a phone number or user, or take Reject',
  },
  {
    field: 'spec.call.mediaReconnectGraceSeconds',
    holds: ({ call }) => call.mediaReconnectGraceSeconds < call.maxDurationSeconds,
    fault: 'is not less than spec.call.maxDurationSeconds; lower it',
  },
  {
    field: 'spec.voice.dialogue',
    holds: ({ voice }) => !voice.dialogue.startsWith('builtin:') || voice.dialogue === BUILTIN_DIALOGUE,
    fault: `names a dialogue that does not ship with rtvoice; write a path or ${BUILTIN_DIALOGUE}`,
  },
];
