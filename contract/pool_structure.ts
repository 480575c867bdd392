import type { PoolFault } from './pool_faults.ts';
import { childOf, type SchemaNode } from './pool_schema.ts';

/** What the API server does by the structural part of a schema, beside what JSON Schema knows. */

type Path = readonly (string | number)[];

/** A field that is null counts as not given (the API server prunes it before it fills in defaults). Changes `value`. */
export function dropNulls(value: unknown, schema: SchemaNode | undefined): void {
  if (Array.isArray(value)) for (const entry of value) dropNulls(entry, schema?.items);
  if (!isObject(value)) return;
  for (const [name, field] of Object.entries(value)) {
    const child = childOf(schema, name);
    if (field === null && child?.type !== undefined) delete value[name];
    else if (child) dropNulls(field, child);
  }
}

/** Takes away what the schema does not know, as an API server of that schema does, and gives the paths. Changes `value`. */
export function dropUnknown(value: unknown, schema: SchemaNode | undefined, path: Path = []): Path[] {
  if (schema === undefined || schema['x-kubernetes-preserve-unknown-fields']) return [];
  if (Array.isArray(value)) return value.flatMap((entry, index) => dropUnknown(entry, schema.items, [...path, index]));
  if (!isObject(value) || !schema.properties) return [];
  return Object.entries(value).flatMap(([name, field]) => {
    const child = childOf(schema, name);
    if (child) return dropUnknown(field, child, [...path, name]);
    delete value[name];
    return [[...path, name]];
  });
}

/** Entries of a `map` list that have the key of an earlier one. */
export function repeatedEntries(value: unknown, schema: SchemaNode | undefined, path: Path = []): PoolFault[] {
  if (Array.isArray(value)) {
    const keys = schema?.['x-kubernetes-list-map-keys'] ?? [];
    const seen = new Set<string>();
    return value.flatMap((entry: unknown, index) => {
      const at = [...path, index];
      const key = JSON.stringify(keys.map((name) => (isObject(entry) ? entry[name] : undefined)));
      const repeats = keys.length > 0 && seen.has(key);
      seen.add(key);
      const fault = { path: at, text: `has the same ${keys.join(' and ')} as another entry; give each its own` };
      return [...(repeats ? [fault] : []), ...repeatedEntries(entry, schema?.items, at)];
    });
  }
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, field]) => {
    const child = childOf(schema, name);
    return child ? repeatedEntries(field, child, [...path, name]) : [];
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
