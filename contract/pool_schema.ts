import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { packageFile } from './package_files.ts';

export const POOL_API_VERSION = 'rtvoice.dev/v1alpha1';
export const POOL_KIND = 'VoiceWorkerPool';

/** The part of JSON Schema that a structural schema of Kubernetes may use. */
export interface SchemaNode {
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  title?: string;
  description?: string;
  properties?: Record<string, SchemaNode>;
  additionalProperties?: boolean | SchemaNode;
  items?: SchemaNode;
  required?: string[];
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  pattern?: string;
  format?: string;
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-validations'?: SchemaRule[];
}

/** A rule in CEL, as the API server has it. */
export interface SchemaRule {
  rule: string;
  message: string;
  /** Relative to the node that has the rule; without it the rule speaks of that node. */
  fieldPath?: string;
  reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired';
}

interface PoolDefinition {
  spec: { versions: { name: string; schema: { openAPIV3Schema: SchemaNode } }[] };
}

/** The schema as the API server has it. */
export function openApiSchema(): SchemaNode {
  const definition = parse(readFileSync(packageFile('crds/voiceworkerpool.yaml'), 'utf8')) as PoolDefinition;
  const version = POOL_API_VERSION.split('/')[1];
  const found = definition.spec.versions.find(({ name }) => name === version);
  if (!found) throw new Error(`crds/voiceworkerpool.yaml has no version ${version}`);
  return found.schema.openAPIV3Schema;
}

/** What every object of Kubernetes carries, so that the output of `kubectl get -o yaml` is a pool document too. */
const SERVER_METADATA = [
  'annotations',
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'finalizers',
  'generateName',
  'generation',
  'labels',
  'managedFields',
  'ownerReferences',
  'resourceVersion',
  'selfLink',
  'uid',
];

/**
 * The same schema for one document outside a cluster: unknown fields are refused (`kubectl --validate=strict`), and what the
 * API server knows by itself (kind, version, metadata) is written out.
 */
export function poolSchema(): SchemaNode {
  const schema = closed(openApiSchema());
  const metadata = schema.properties?.metadata;
  return {
    ...schema,
    required: ['apiVersion', 'kind', 'metadata', ...(schema.required ?? [])],
    properties: {
      ...schema.properties,
      apiVersion: { type: 'string', const: POOL_API_VERSION },
      kind: { type: 'string', const: POOL_KIND },
      metadata: {
        ...metadata,
        type: 'object',
        required: ['name'],
        properties: {
          ...metadata?.properties,
          // Its form is a rule at the root.
          name: {
            type: 'string',
            description:
              'Name of the pool, a DNS label of at most 40 characters. It is part of worker names, URLs and Redis keys, therefore the short limit.',
          },
          namespace: {
            type: 'string',
            description: 'Namespace of the pool.',
            maxLength: 63,
            pattern: '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$',
          },
          ...Object.fromEntries(SERVER_METADATA.map((name) => [name, {}])),
        },
      },
    },
  };
}

/** Refuses unknown fields everywhere but where the API server keeps them. */
function closed(node: SchemaNode): SchemaNode {
  const copy: SchemaNode = { ...node };
  if (node.properties) {
    copy.properties = Object.fromEntries(Object.entries(node.properties).map(([name, child]) => [name, closed(child)]));
    copy.additionalProperties = false;
  }
  if (node['x-kubernetes-preserve-unknown-fields']) copy.additionalProperties = true;
  if (typeof node.additionalProperties === 'object') copy.additionalProperties = closed(node.additionalProperties);
  if (node.items) copy.items = closed(node.items);
  return copy;
}

/** The schema of one field by its path, or undefined. */
export function schemaAt(schema: SchemaNode, path: readonly (string | number)[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = schema;
  for (const part of path) node = (typeof part === 'number' ? node?.items : undefined) ?? childOf(node, String(part));
  return node;
}

/** The schema of a named field: its own, or that of every entry of a map. */
export function childOf(node: SchemaNode | undefined, name: string): SchemaNode | undefined {
  const additional = node?.additionalProperties;
  return node?.properties?.[name] ?? (typeof additional === 'object' ? additional : undefined);
}
