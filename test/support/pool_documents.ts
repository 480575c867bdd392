import { openApiSchema, type SchemaNode } from '../../contract/pool_schema.ts';
import { FULL_SPEC, samples } from './pool_samples.ts';

export type Json = { [key: string]: unknown };

/** One document and what must be said of it, by the API server and locally. */
export interface PoolCase {
  readonly name: string;
  readonly document: Json;
  /** The field that a refusal must name; undefined for a document that must be taken. */
  readonly refused: string | undefined;
}

const REDIS_ID = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Cache/redisEnterprise/r';

export function aDocument(spec: Json, more: Json = {}): Json {
  return {
    apiVersion: 'rtvoice.dev/v1alpha1',
    kind: 'VoiceWorkerPool',
    metadata: { name: 'desk' },
    spec: { environment: 'test', ...spec },
    ...more,
  };
}

/** A document with every field set. */
export const fullDocument = (): Json => aDocument(structuredClone(FULL_SPEC));

/** One good and one bad document for every rule over several fields, named by the field that the rule speaks of. */
export const RULE_CASES: readonly (readonly [field: string, good: Json, bad: Json])[] = [
  ['metadata.name', named('a'.repeat(40)), named('a'.repeat(41))],
  ['metadata.name', named('a-1'), named('a.b')],
  ['metadata.name', named('a-call'), named('a-calls')],
  ['spec.minWorkers', aDocument({ minWorkers: 3, maxWorkers: 3 }), aDocument({ minWorkers: 4, maxWorkers: 3 })],
  [
    'spec.worker.hardSlotLimit',
    aDocument({ slotsPerWorker: 20, worker: { hardSlotLimit: 20 } }),
    aDocument({ slotsPerWorker: 21, worker: { hardSlotLimit: 20 } }),
  ],
  [
    'spec.update.canary.workers',
    aDocument({ minWorkers: 2, update: { canary: { workers: 2 } } }),
    aDocument({ minWorkers: 2, update: { canary: { workers: 3 } } }),
  ],
  [
    'spec.scaling.schedules',
    aDocument({ maxWorkers: 5, scaling: { schedules: [schedule({ minWorkers: 5 })] } }),
    aDocument({ maxWorkers: 5, scaling: { schedules: [schedule(), schedule({ name: 'b', minWorkers: 6 })] } }),
  ],
  [
    'spec.overflow.redirectTo',
    aDocument({ overflow: { action: 'Redirect', redirectTo: '+15551230000' } }),
    aDocument({ overflow: { action: 'Redirect' } }),
  ],
  [
    'spec.scaling.scaleDownConnectionsPercent',
    aDocument({ scaling: { scaleDownConnectionsPercent: 79 } }),
    aDocument({ scaling: { scaleDownConnectionsPercent: 80 } }),
  ],
  [
    'spec.scaling.scaleDownMemoryPercent',
    aDocument({ scaling: { scaleDownMemoryPercent: 69 } }),
    aDocument({ scaling: { scaleDownMemoryPercent: 70 } }),
  ],
  [
    'spec.scaling.prometheus',
    aDocument({ scaling: { source: 'Prometheus', prometheus: { url: 'http://prometheus:9090', query: 'sum(x)' } } }),
    aDocument({ scaling: { source: 'Prometheus' } }),
  ],
  [
    'spec.drain.terminationGracePeriodSeconds',
    aDocument({ drain: { externalDeadlineSeconds: 100, preStopSeconds: 10, terminationGracePeriodSeconds: 110 } }),
    aDocument({ drain: { externalDeadlineSeconds: 100, preStopSeconds: 10, terminationGracePeriodSeconds: 109 } }),
  ],
  [
    'spec.call.mediaReconnectGraceSeconds',
    aDocument({ call: { maxDurationSeconds: 31 } }),
    aDocument({ call: { maxDurationSeconds: 30 } }),
  ],
  [
    'spec.redis.shed.callsPercent',
    aDocument({ redis: { shed: { ttsCachePercent: 91 } } }),
    aDocument({ redis: { shed: { ttsCachePercent: 92 } } }),
  ],
  [
    'spec.redis.shed.ttsCachePercent',
    aDocument({ redis: { scaleAt: { memoryPercent: 84 } } }),
    aDocument({ redis: { scaleAt: { memoryPercent: 85 } } }),
  ],
  [
    'spec.redis.affinitySeconds',
    aDocument({ redis: { affinitySeconds: 91 } }),
    aDocument({ redis: { affinitySeconds: 90 } }),
  ],
  [
    'spec.redis.actuator.webhook',
    aDocument({
      redis: { actuator: { type: 'Webhook', webhook: { url: 'https://hooks/redis', signingKey: 'HOOK' } } },
    }),
    aDocument({ redis: { actuator: { type: 'Webhook' } } }),
  ],
  [
    'spec.redis.actuator.azure',
    aDocument({ redis: { actuator: { type: 'AzureResourceManager', azure: { resourceId: REDIS_ID, skus: ['A'] } } } }),
    aDocument({ redis: { actuator: { type: 'AzureResourceManager' } } }),
  ],
  [
    'spec.redis.actuator.azure.skus',
    aDocument({ redis: { actuator: { azure: { resourceId: REDIS_ID, skus: ['Balanced_B5', 'Balanced_B10'] } } } }),
    aDocument({ redis: { actuator: { azure: { resourceId: REDIS_ID, skus: ['A', 'B', 'A'] } } } }),
  ],
  [
    'spec.routing.gateway',
    aDocument({ routing: { mode: 'Gateway', gateway: { name: 'edge' } } }),
    aDocument({ routing: { mode: 'Gateway' } }),
  ],
  [
    'spec.voice.dialogue',
    aDocument({ voice: { dialogue: 'builtin:example' } }),
    aDocument({ voice: { dialogue: 'builtin:other' } }),
  ],
];

/** Two documents of one pool, the second of which may not follow the first. */
export const TRANSITION_CASES: readonly (readonly [field: string, before: Json, after: Json])[] = [
  ['spec.environment', aDocument({}), aDocument({ environment: 'prod' })],
  ['spec.redis.keyPrefix', aDocument({}), aDocument({ redis: { keyPrefix: 'other' } })],
  ['spec.redis.keyPrefix', aDocument({ redis: { keyPrefix: 'other' } }), aDocument({})],
];

/** Mistakes that are no field's bound. */
const MISTAKES: readonly PoolCase[] = [
  { name: 'no spec', document: aDocument({}, { spec: undefined }), refused: 'spec' },
  { name: 'a null spec', document: aDocument({}, { spec: null }), refused: 'spec' },
  { name: 'an unknown field at the top', document: aDocument({}, { colour: 'red' }), refused: 'colour' },
  { name: 'a slip of the pen', document: aDocument({ minWorker: 3 }), refused: 'spec.minWorker' },
  {
    name: 'a section that is null',
    document: aDocument({ scaling: null, drain: { preStopSeconds: null } }),
    refused: undefined,
  },
  { name: 'an optional section that is null', document: aDocument({ acs: null, replicas: null }), refused: undefined },
  {
    name: 'a null entry',
    document: aDocument({ scaling: { schedules: [null] } }),
    refused: 'spec.scaling.schedules[0]',
  },
  {
    name: 'two windows of one name',
    document: aDocument({ scaling: { schedules: [schedule(), schedule({ name: 'b' }), schedule()] } }),
    refused: 'spec.scaling.schedules[2]',
  },
  {
    name: 'anything in the spec of a Pod',
    document: aDocument({
      worker: { podTemplate: { spec: { containers: [{ name: 'worker', env: [null] }], x: { y: 1 } } } },
    }),
    refused: undefined,
  },
  {
    name: 'an unknown field beside it',
    document: aDocument({ worker: { podTemplate: { specs: {} } } }),
    refused: 'spec.worker.podTemplate.specs',
  },
  {
    name: 'a number as a label',
    document: aDocument({ worker: { podTemplate: { metadata: { labels: { tier: 1 } } } } }),
    refused: 'spec.worker.podTemplate.metadata.labels.tier',
  },
  { name: 'a fraction', document: aDocument({ minWorkers: 1.5 }), refused: 'spec.minWorkers' },
  { name: 'a cron line of six fields', document: cron('0 0 8 * * 1'), refused: 'spec.scaling.schedules[0].cron' },
  { name: 'a cron word', document: cron('@daily'), refused: 'spec.scaling.schedules[0].cron' },
  { name: 'a cron line with names', document: cron('*/5 8-17 * JAN,FEB mon-fri'), refused: undefined },
];

/** Every document that both sides must agree on. */
export function poolCases(): PoolCase[] {
  return [
    { name: 'the smallest', document: aDocument({}), refused: undefined },
    { name: 'every field set', document: fullDocument(), refused: undefined },
    ...RULE_CASES.flatMap(([field, good, bad]) => [
      { name: `rule on ${field}: kept`, document: good, refused: undefined },
      { name: `rule on ${field}: broken`, document: bad, refused: field },
    ]),
    ...MISTAKES,
    ...fieldCases(),
  ];
}

/** For every field of the spec a document at each of its bounds and one beyond, of another type, without what is required, with an unknown neighbour. */
export function fieldCases(): PoolCase[] {
  return [...specFields()].flatMap(({ path, node, required }) => {
    const name = pathName(path);
    const { good, bad } = samples(name, node);
    return [
      ...good.map(([what, value, others]): PoolCase => {
        const document = withField(path, value);
        for (const [other, set] of Object.entries(others ?? {})) setAt(document, other.split('.'), set);
        return { name: `${name}: ${what}`, document, refused: undefined };
      }),
      ...bad.map(
        ([what, value, at]): PoolCase => ({
          name: `${name}: ${what}`,
          document: withField(path, value),
          refused: `${name}${at ?? ''}`,
        }),
      ),
      ...(required ? [{ name: `${name}: missing`, document: withField(path, undefined), refused: name }] : []),
      ...(node.properties && !node['x-kubernetes-preserve-unknown-fields']
        ? [
            {
              name: `${name}: unknown field`,
              document: withField([...path, 'colour'], 'red'),
              refused: `${name}.colour`,
            },
          ]
        : []),
    ];
  });
}

interface SpecField {
  readonly path: readonly (string | number)[];
  readonly node: SchemaNode;
  readonly required: boolean;
}

function* specFields(
  node: SchemaNode | undefined = openApiSchema().properties?.spec,
  path: readonly (string | number)[] = ['spec'],
): Generator<SpecField> {
  for (const [name, child] of Object.entries(node?.properties ?? {})) {
    const field = { path: [...path, name], node: child, required: node?.required?.includes(name) ?? false };
    yield field;
    yield* specFields(child, field.path);
    if (child.items?.properties) yield* specFields(child.items, [...field.path, 0]);
  }
}

/** The full document with one field changed, or without it. */
function withField(path: readonly (string | number)[], value: unknown): Json {
  const document = fullDocument();
  setAt(document, path, value);
  return document;
}

function setAt(document: Json, path: readonly (string | number)[], value: unknown): void {
  let node: Json = document;
  for (const part of path.slice(0, -1)) node = node[part] as Json;
  const last = path.at(-1) ?? '';
  if (value === undefined) delete node[last];
  else node[last] = value;
}

export function pathName(path: readonly (string | number)[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .slice(1);
}

function named(name: string): Json {
  return aDocument({}, { metadata: { name } });
}

function cron(line: string): Json {
  return aDocument({ scaling: { schedules: [schedule({ cron: line })] } });
}

function schedule(changes: Json = {}): Json {
  return { name: 'a', cron: '0 8 * * 1-5', durationSeconds: 3600, minWorkers: 3, ...changes };
}
