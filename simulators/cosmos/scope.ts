import type { IncomingHttpHeaders } from 'node:http';
import { effectivePartitionKey } from './epk.ts';
import { badRequest, gone } from './http_error.ts';
import type { Container, Scope } from './store.ts';

/** What a query or feed may see: one partition, one physical partition or a part of it, or everything. */
export function scopeOf(container: Container, headers: IncomingHttpHeaders): Scope {
  const values = partitionHeader(headers);
  if (values?.length === container.definition.partitionKey.paths.length) return { pk: JSON.stringify(values) };
  if (values) {
    if (values.length === 0 || values.length > container.definition.partitionKey.paths.length) throw keyMismatch();
    // A prefix of a hierarchical key is a part of the hash space.
    const prefix = effectivePartitionKey(values, true);
    return { range: { min: prefix, max: `${prefix}FF` } };
  }
  const id = headers['x-ms-documentdb-partitionkeyrangeid'];
  const [min, max] = [headers['x-ms-start-epk'], headers['x-ms-end-epk']].map((each) =>
    each === undefined ? undefined : String(each),
  );
  if (id === undefined) return min === undefined || max === undefined ? {} : { range: { min, max } };
  const range = container.ranges[Number(id)];
  if (!range) throw gone();
  return { range: { min: later(range.min, min), max: earlier(range.max, max) } };
}

export function requiredPartition(container: Container, headers: IncomingHttpHeaders): string {
  const values = partitionHeader(headers);
  if (!values) throw badRequest('PartitionKey value must be supplied for this operation.');
  if (values.length !== container.definition.partitionKey.paths.length) throw keyMismatch();
  return JSON.stringify(values);
}

function partitionHeader(headers: IncomingHttpHeaders): unknown[] | undefined {
  const text = headers['x-ms-documentdb-partitionkey'];
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(String(text));
  } catch {
    throw badRequest(`Partition key ${String(text)} is invalid.`);
  }
  if (!Array.isArray(value)) throw badRequest('Partition key must be a JSON array.');
  return value;
}

function keyMismatch(): Error {
  return badRequest(
    "Partition key provided either doesn't correspond to definition in the collection or doesn't match partition key field values.",
  );
}

const later = (a: string, b: string | undefined): string => (b !== undefined && b > a ? b : a);
const earlier = (a: string, b: string | undefined): string => (b !== undefined && b < a ? b : a);
