import { createHash } from 'node:crypto';
import type { PoolSpec, VoiceWorkerPool } from '../../contract/pool.ts';

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
  /** The number that stood last: a restart starts no lower. */
  readonly wanted?: number;
}

/** Fields that take effect on running workers: a change of these makes no new revision. */
const LIVE_FIELDS: ReadonlySet<string> = new Set<keyof PoolSpec>([
  'minWorkers',
  'maxWorkers',
  'slotsPerWorker',
  'placement',
  'scaling',
]);

/** Hash over everything that a worker takes from the document at its start: another hash means that workers are rolled. */
export function revisionOf(spec: PoolSpec): string {
  const fixed = Object.fromEntries(Object.entries(spec).filter(([name]) => !LIVE_FIELDS.has(name)));
  return createHash('sha256').update(canonical(fixed)).digest('hex').slice(0, 10);
}

/** JSON with sorted names: the order in a document means nothing. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`)
    .join(',')}}`;
}
