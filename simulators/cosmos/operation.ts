import type { IncomingHttpHeaders } from 'node:http';

/** What a request wants, by the names that the account's figures and faults use. */
export const OPERATIONS = [
  'create',
  'upsert',
  'read',
  'replace',
  'patch',
  'delete',
  'batch',
  'bulk',
  'query',
  'queryPlan',
  'readFeed',
  'changeFeed',
] as const;
export type Operation = (typeof OPERATIONS)[number];

const ITEM_METHODS: ReadonlyMap<string, Operation> = new Map([
  ['GET', 'read'],
  ['PUT', 'replace'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
]);

/** Undefined for requests that are not about documents. */
export function operationOf(
  method: string,
  segments: readonly string[],
  headers: IncomingHttpHeaders,
): Operation | undefined {
  if (segments[4] !== 'docs') return undefined;
  if (segments.length > 5) return ITEM_METHODS.get(method);
  if (method === 'GET') return headers['a-im'] === undefined ? 'readFeed' : 'changeFeed';
  if (method !== 'POST') return undefined;
  if (headers['x-ms-cosmos-is-query-plan-request'] !== undefined) return 'queryPlan';
  if (headers['x-ms-documentdb-isquery'] !== undefined || headers['content-type']?.startsWith('application/query+json'))
    return 'query';
  if (headers['x-ms-cosmos-is-batch-request'] !== undefined)
    return String(headers['x-ms-cosmos-batch-atomic']).toLowerCase() === 'true' ? 'batch' : 'bulk';
  return String(headers['x-ms-documentdb-is-upsert']).toLowerCase() === 'true' ? 'upsert' : 'create';
}

const WRITES: ReadonlySet<Operation | undefined> = new Set<Operation | undefined>([
  'create',
  'upsert',
  'replace',
  'patch',
  'delete',
  'batch',
  'bulk',
]);

export function isWrite(operation: Operation | undefined): boolean {
  return WRITES.has(operation);
}
