import { createHash } from 'node:crypto';
import type { PoolSpec, VoiceWorkerPool } from '../../contract/pool.ts';
import { openApiSchema, type SchemaNode } from '../../contract/pool_schema.ts';
import { canonical } from '../../platform/json.ts';
import type { ActuationRecord } from '../redis_tier/ports.ts';
import type { Remembered } from './ports.ts';

/** What the controller keeps of a pool between its own starts. */
export interface PoolNote {
  readonly v: 1;
  readonly document: VoiceWorkerPool;
  /** Unix milliseconds, for people to read. */
  readonly createdAtMs: number;
  /** Raised with each change of the document. */
  readonly generation: number;
  /** Written to `/scale`. */
  readonly requestedReplicas?: number;
  /** What a new controller goes on from. */
  readonly remembered?: Remembered;
  readonly redisActuation?: ActuationRecord;
}

/** Fields that take effect on running workers: a change of these makes no new revision. */
const LIVE_FIELDS: ReadonlySet<string> = new Set<keyof PoolSpec>([
  'minWorkers',
  'maxWorkers',
  'slotsPerWorker',
  'placement',
  'scaling',
  'replicas',
  'update',
]);

/** Parts of fixed fields that the controller alone reads. */
const CONTROLLER_FIELDS: readonly (readonly [field: keyof PoolSpec, part: string])[] = [
  ['redis', 'scaleAt'],
  ['redis', 'actuator'],
  ['routing', 'mode'],
  ['routing', 'gateway'],
];

/**
 * Hash over everything that a worker takes from the document at its start: another hash means that workers are rolled. What stands at its
 * default counts for nothing, so that a release that adds a field rolls no pool.
 */
export function revisionOf(spec: PoolSpec): string {
  const known = revisions.get(spec);
  if (known !== undefined) return known;
  const revision = hashOf(spec);
  revisions.set(spec, revision);
  return revision;
}

/** Documents are not changed once they are read, and every pass asks. */
const revisions = new WeakMap<PoolSpec, string>();
let specSchema: SchemaNode | undefined;

function hashOf(spec: PoolSpec): string {
  const copy = structuredClone(spec) as unknown as Record<string, Record<string, unknown>>;
  for (const [field, part] of CONTROLLER_FIELDS) delete copy[field]?.[part];
  specSchema ??= openApiSchema().properties?.spec;
  const told = withoutDefaults(copy, specSchema) as Record<string, unknown>;
  const fixed = Object.fromEntries(Object.entries(told).filter(([name]) => !LIVE_FIELDS.has(name)));
  return createHash('sha256').update(canonical(fixed)).digest('hex').slice(0, 10);
}

function withoutDefaults(value: unknown, schema: SchemaNode | undefined): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || !schema?.properties) return value;
  const told = Object.entries(value).flatMap(([name, field]) => {
    const node = schema.properties?.[name];
    const rest = withoutDefaults(field, node);
    const isDefault = node?.default !== undefined && canonical(rest) === canonical(node.default);
    return rest === undefined || isDefault ? [] : [[name, rest] as const];
  });
  return Object.fromEntries(told);
}

/** The document of an older revision with what takes effect on running workers as the newer one has it. */
export function withLiveFields(older: VoiceWorkerPool, newer: VoiceWorkerPool): VoiceWorkerPool {
  const live = Object.fromEntries(Object.entries(newer.spec).filter(([name]) => LIVE_FIELDS.has(name)));
  return { ...older, spec: { ...older.spec, ...live } };
}
