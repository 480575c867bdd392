import { compile } from 'json-schema-to-typescript';
import { poolSchema, type SchemaNode } from '../../contract/pool_schema.ts';

const BANNER = '/** Generated from crds/voiceworkerpool.yaml by `npm run gen`; do not edit. */';

/** TypeScript of a validated pool document: a field with a default is always there. */
export async function poolTypes(): Promise<string> {
  const schema = titled(readType(poolSchema()));
  return await compile(schema as Parameters<typeof compile>[0], 'VoiceWorkerPool', {
    bannerComment: BANNER,
    format: true,
    style: { singleQuote: true, printWidth: 120 },
    additionalProperties: false,
  });
}

function readType(node: SchemaNode): SchemaNode {
  const copy: SchemaNode = { ...node };
  if (node.properties) {
    const withDefault = Object.entries(node.properties).filter(([, child]) => child.default !== undefined);
    copy.required = [...new Set([...(node.required ?? []), ...withDefault.map(([name]) => name)])];
    copy.properties = Object.fromEntries(
      Object.entries(node.properties).map(([name, child]) => [name, readType(child)]),
    );
  }
  if (node.items) copy.items = readType(node.items);
  if (typeof node.additionalProperties === 'object') copy.additionalProperties = readType(node.additionalProperties);
  // The generator would write the bound on entries as a union of tuples.
  delete copy.maxItems;
  delete copy.minItems;
  delete copy.default;
  return copy;
}

/** Names for the parts that code speaks of. */
function titled(schema: SchemaNode): SchemaNode {
  const { spec, status } = schema.properties ?? {};
  if (spec) spec.title = 'PoolSpec';
  if (status) status.title = 'PoolStatus';
  const condition = status?.properties?.conditions?.items;
  if (condition) condition.title = 'PoolCondition';
  const drain = status?.properties?.drains?.items;
  if (drain) drain.title = 'PoolDrain';
  const schedule = spec?.properties?.scaling?.properties?.schedules?.items;
  if (schedule) schedule.title = 'PoolSchedule';
  return schema;
}
