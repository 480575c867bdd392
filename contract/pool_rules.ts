import { DNS_LABEL, POOL_NAME_MAX } from './ids.ts';
import { WORKER_NAMES_SUFFIX } from './labels.ts';
import type { PoolSpec, VoiceWorkerPool } from './pool.gen.ts';
import { ruleText } from './pool_cel.ts';
import type { PoolFault } from './pool_faults.ts';

/** A rule over several fields, which the schema of a single field cannot say. The API server has it as CEL in the resource's definition. */
export interface PoolRule {
  /** The field to name, as in `spec.minWorkers`. One rule speaks of it at the most. */
  readonly field: string;
  /** The local twin of the CEL rule. */
  holds(spec: PoolSpec, name: string): boolean;
}

/** The example that ships with the product, as a value of `spec.voice.dialogue`. */
export const BUILTIN_DIALOGUE = 'builtin:example';
/** The controller refreshes affinity records this often. */
const AFFINITY_REFRESH_SECONDS = 60;

export const POOL_RULES: readonly PoolRule[] = [
  {
    field: 'metadata.name',
    holds: (_spec, name) => name.length <= POOL_NAME_MAX && DNS_LABEL.test(name) && !name.endsWith(WORKER_NAMES_SUFFIX),
  },
  { field: 'spec.minWorkers', holds: (spec) => spec.minWorkers <= spec.maxWorkers },
  { field: 'spec.worker.hardSlotLimit', holds: (spec) => spec.worker.hardSlotLimit >= spec.slotsPerWorker },
  { field: 'spec.update.canary.workers', holds: (spec) => spec.update.canary.workers <= spec.minWorkers },
  {
    field: 'spec.scaling.schedules',
    holds: ({ scaling, maxWorkers }) => scaling.schedules.every(({ minWorkers }) => minWorkers <= maxWorkers),
  },
  {
    field: 'spec.overflow.redirectTo',
    holds: ({ overflow }) => overflow.action !== 'Redirect' || overflow.redirectTo !== undefined,
  },
  {
    field: 'spec.scaling.scaleDownConnectionsPercent',
    holds: ({ scaling }) => scaling.scaleDownConnectionsPercent < scaling.connectionsThresholdPercent,
  },
  {
    field: 'spec.scaling.scaleDownMemoryPercent',
    holds: ({ scaling }) => scaling.scaleDownMemoryPercent < scaling.memoryThresholdPercent,
  },
  {
    field: 'spec.scaling.prometheus',
    holds: ({ scaling }) => scaling.source !== 'Prometheus' || scaling.prometheus !== undefined,
  },
  {
    field: 'spec.drain.terminationGracePeriodSeconds',
    holds: ({ drain }) => drain.terminationGracePeriodSeconds >= drain.externalDeadlineSeconds + drain.preStopSeconds,
  },
  {
    field: 'spec.call.mediaReconnectGraceSeconds',
    holds: ({ call }) => call.mediaReconnectGraceSeconds < call.maxDurationSeconds,
  },
  {
    field: 'spec.redis.shed.callsPercent',
    holds: ({ redis }) => redis.shed.ttsCachePercent < redis.shed.callsPercent,
  },
  {
    field: 'spec.redis.actuator.webhook',
    holds: ({ redis }) => redis.actuator.type !== 'Webhook' || redis.actuator.webhook !== undefined,
  },
  {
    field: 'spec.redis.actuator.azure',
    holds: ({ redis }) => redis.actuator.type !== 'AzureResourceManager' || redis.actuator.azure !== undefined,
  },
  {
    field: 'spec.redis.actuator.azure.skus',
    holds: ({ redis }) => isUnique(redis.actuator.azure?.skus ?? []),
  },
  {
    field: 'spec.redis.affinitySeconds',
    holds: ({ redis }) => redis.affinitySeconds > AFFINITY_REFRESH_SECONDS + redis.unreplicatedGraceSeconds,
  },
  {
    field: 'spec.redis.shed.ttsCachePercent',
    holds: ({ redis }) => redis.scaleAt.memoryPercent < redis.shed.ttsCachePercent,
  },
  {
    field: 'spec.routing.gateway',
    holds: ({ routing }) => routing.mode !== 'Gateway' || routing.gateway !== undefined,
  },
  {
    field: 'spec.voice.dialogue',
    holds: ({ voice }) => !voice.dialogue.startsWith('builtin:') || voice.dialogue === BUILTIN_DIALOGUE,
  },
];

/** Fields that never change: what finds a live call's records must not move under it. */
export const IMMUTABLE_FIELDS = {
  'spec.environment': (spec: PoolSpec) => spec.environment,
  'spec.redis.keyPrefix': (spec: PoolSpec) => spec.redis.keyPrefix,
} as const;

/** The rules that a document breaks by itself, in the words of the definition. */
export function brokenRules({ metadata, spec }: VoiceWorkerPool): PoolFault[] {
  return POOL_RULES.filter((rule) => !rule.holds(spec, metadata.name)).map(({ field }) => faultAt(field));
}

/** The rules that another document of the same pool breaks, in the words of the definition. */
export function transitionFaults(before: PoolSpec, after: PoolSpec): PoolFault[] {
  return changedImmutables(before, after).map(faultAt);
}

/** The immutable fields that another document of the same pool would change. */
export function changedImmutables(before: PoolSpec, after: PoolSpec): string[] {
  return Object.entries(IMMUTABLE_FIELDS).flatMap(([field, of]) => (of(before) === of(after) ? [] : [field]));
}

function faultAt(field: string): PoolFault {
  return { path: field.split('.'), text: ruleText(field) };
}

function isUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}
