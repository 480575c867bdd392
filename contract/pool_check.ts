import { Ajv } from 'ajv';
import type { VoiceWorkerPool } from './pool.gen.ts';
import { describe, type PoolFault } from './pool_faults.ts';
import { brokenRules } from './pool_rules.ts';
import { poolSchema, type SchemaNode } from './pool_schema.ts';
import { dropNulls, repeatedEntries } from './pool_structure.ts';

let compiled: { schema: SchemaNode; check: ReturnType<Ajv['compile']> } | undefined;

/**
 * What the API server would say to this document under strict field validation, in its order: nulls, defaults, schema, lists, rules.
 * Changes `value`: missing fields get their defaults. No fault: `value` is a VoiceWorkerPool.
 */
export function checkPool(value: unknown): PoolFault[] {
  if (!compiled) {
    const schema = poolSchema();
    const ajv = new Ajv({
      allErrors: true,
      useDefaults: true,
      strict: false,
      formats: { int64: true, 'date-time': true },
    });
    compiled = { schema, check: ajv.compile(schema) };
  }
  const { schema, check } = compiled;
  dropNulls(value, schema);
  if (!check(value)) return (check.errors ?? []).map((error) => describe(error, schema));
  const repeated = repeatedEntries(value, schema);
  return repeated.length > 0 ? repeated : brokenRules(value as VoiceWorkerPool);
}
