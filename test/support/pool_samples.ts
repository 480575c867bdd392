import type { SchemaNode } from '../../contract/pool_schema.ts';

type Json = { [key: string]: unknown };

/** Every field of a pool's spec, with room to either side of each bound so that no rule is in the way. */
export const FULL_SPEC: Json = {
  environment: 'prod',
  replicas: 3,
  minWorkers: 2,
  maxWorkers: 10,
  slotsPerWorker: 50,
  placement: { strategy: 'Pack' },
  overflow: { action: 'Redirect', redirectTo: '8:acs:a-b_c' },
  scaling: {
    mode: 'External',
    connectionsThresholdPercent: 80,
    memoryThresholdPercent: 70,
    scaleDownConnectionsPercent: 9,
    scaleDownMemoryPercent: 9,
    scaleDownStabilizationSeconds: 300,
    targetBlockingProbability: 0.01,
    intervalSeconds: 15,
    source: 'Prometheus',
    floorSeconds: 600,
    prometheus: { url: 'http://prometheus:9090', query: 'sum(x)', timeoutSeconds: 5, bearerTokenKey: 'PROMETHEUS' },
    schedules: [{ name: 'day', cron: '0 8 * * 1-5', timeZone: 'Europe/Berlin', durationSeconds: 3600, minWorkers: 3 }],
  },
  update: {
    maxSurge: 2,
    paused: false,
    canary: { workers: 1, minCalls: 20, maxSeconds: 900, maxSetupFailurePercent: 5, maxResponseRatio: 1.5 },
    onFailure: 'Pause',
  },
  drain: {
    externalDeadlineSeconds: 0,
    atDeadline: 'HangUp',
    preStopSeconds: 0,
    terminationGracePeriodSeconds: 3900,
  },
  call: {
    maxDurationSeconds: 3600,
    idleTimeoutSeconds: 60,
    sampleRateHertz: 24_000,
    mediaReconnectGraceSeconds: 5,
  },
  worker: {
    memoryLimitMiB: 1024,
    hardSlotLimit: 1000,
    image: 'registry.example/rtvoice:1',
    imagePullPolicy: 'Always',
    cpuRequestMillicores: 500,
    podTemplate: {
      metadata: { labels: { tier: 'voice' }, annotations: { note: 'x' } },
      spec: { nodeSelector: { a: 'b' } },
    },
  },
  redis: {
    unreplicatedGraceSeconds: 0,
    keyPrefix: 'voice',
    affinitySeconds: 400,
    scaleAt: { memoryPercent: 10, clientsPercent: 80, operationsPerSecondPerShard: 10_000, shards: 2 },
    shed: { ttsCachePercent: 50, callsPercent: 92 },
    actuator: {
      type: 'Webhook',
      cooldownSeconds: 600,
      webhook: { url: 'https://hooks.example/redis', signingKey: 'HOOK' },
      azure: {
        resourceId: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Cache/redisEnterprise/r',
        skus: ['Balanced_B5', 'Balanced_B10'],
      },
    },
  },
  routing: {
    mode: 'Gateway',
    publicUrl: 'https://voice.example',
    gateway: { name: 'edge', namespace: 'infra', sectionName: 'https', hostname: '*.voice.example' },
  },
  secretName: 'desk-settings',
  acs: { endpoint: 'https://acs.example', resourceId: '1-2', eventGridTopic: '/subscriptions/s' },
  cosmos: { endpoint: 'https://cosmos.example', database: 'voice' },
  voice: { backend: 'Echo', dialogue: '/etc/dialogue.yaml', voiceName: 'slt', greeting: 'Hello.' },
};

/** What must move along so that a field can stand at that bound of its own. */
const COMPANIONS: Readonly<Record<string, Json>> = {
  'spec.minWorkers at its minimum': { 'spec.update.canary.workers': 0 },
  'spec.minWorkers at its maximum': { 'spec.maxWorkers': 1000 },
  'spec.maxWorkers at its minimum': { 'spec.minWorkers': 1, 'spec.scaling.schedules': [] },
  'spec.worker.hardSlotLimit at its minimum': { 'spec.slotsPerWorker': 1 },
  'spec.update.canary.workers at its maximum': { 'spec.minWorkers': 100, 'spec.maxWorkers': 100 },
  'spec.scaling.scaleDownConnectionsPercent at its maximum': { 'spec.scaling.connectionsThresholdPercent': 100 },
  'spec.scaling.scaleDownMemoryPercent at its maximum': { 'spec.scaling.memoryThresholdPercent': 85 },
  'spec.scaling.schedules[0].minWorkers at its maximum': { 'spec.maxWorkers': 1000 },
  'spec.drain.externalDeadlineSeconds at its maximum': { 'spec.drain.terminationGracePeriodSeconds': 86_400 },
  'spec.call.maxDurationSeconds at its minimum': { 'spec.call.mediaReconnectGraceSeconds': 9 },
  'spec.redis.scaleAt.memoryPercent at its maximum': { 'spec.redis.shed': { ttsCachePercent: 99, callsPercent: 100 } },
  'spec.redis.shed.ttsCachePercent at its maximum': { 'spec.redis.shed.callsPercent': 100 },
  'spec.redis.shed.callsPercent at its minimum': { 'spec.redis.shed.ttsCachePercent': 11 },
};

/** Texts of a wanted length that fit a pattern, and one that does not. */
const TEXTS: Readonly<Record<string, { readonly of: (length: number) => string; readonly bad: string }>> = {
  '^((4:)?\\+?[0-9]{3,20}|8:[A-Za-z0-9:_-]+)$': { of: (n) => `8:${'a'.repeat(n - 2)}`, bad: '4:+12x' },
  '^https?://[!-~]+$': { of: (n) => `http://${'a'.repeat(n - 7)}`, bad: 'http://a b' },
  '^https?://[!"$->@-~]+$': { of: (n) => `http://${'a'.repeat(n - 7)}`, bad: 'https://a?b' },
  '^/subscriptions/[!-.0-~]+/resource[Gg]roups/[!-.0-~]+/providers/[!-~]+$': {
    of: (n) => `/subscriptions/s/resourceGroups/g/providers/`.padEnd(n, 'a'),
    bad: '/subscriptions/s/providers/p',
  },
  '^[0-9*/,-]+( +[0-9A-Za-z*/,-]+){4}$': { of: (n) => '0'.repeat(n - 8).concat(' * * * *'), bad: '0 8 * *' },
  '^[A-Za-z][A-Za-z0-9_+/-]*$': { of: letters, bad: '+01:00' },
  '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$': { of: letters, bad: 'a.b' },
  '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$': { of: letters, bad: 'a_b' },
  '^(\\*\\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$': { of: letters, bad: '**.a' },
  '^[a-z0-9][a-z0-9-]*$': { of: letters, bad: 'a:b' },
  '^[A-Za-z0-9._-]+$': { of: letters, bad: 'a/b' },
  '^[A-Za-z0-9_]+$': { of: letters, bad: 'a-b' },
  '^[A-Za-z0-9][A-Za-z0-9._:/@-]*$': { of: letters, bad: 'a b' },
  '^[!-~]+$': { of: letters, bad: 'a b' },
};
/** Two code units each: a length is counted in characters. */
const ANY_TEXT = { of: (length: number) => '😀'.repeat(length), bad: undefined };

/** What may stand in the field, with what must stand elsewhere then; and what may not, with where it is found. */
export interface Samples {
  readonly good: (readonly [what: string, value: unknown, others?: Json])[];
  readonly bad: (readonly [what: string, value: unknown, at?: string])[];
}

/** Values at each bound of a field and beyond, from its schema. Throws for a pattern that has no sample here. */
export function samples(name: string, node: SchemaNode): Samples {
  const { good, bad } = byType(name, node);
  const otherType = node.type === 'string' ? 7 : 'seven';
  return {
    good: good.map(([what, value]) => [what, value, COMPANIONS[`${name} ${what}`] ?? {}]),
    bad: [...bad, ['of another type', otherType]],
  };
}

function byType(name: string, node: SchemaNode): Samples {
  if (node.enum)
    return {
      good: node.enum.map((word) => [`as ${String(word)}`, word]),
      bad: [['as another word', node.type === 'string' ? 'Nonsense' : 1]],
    };
  switch (node.type) {
    case 'integer':
    case 'number':
      return ofNumber(node, node.type === 'integer' ? 1 : 1e-9);
    case 'string':
      return ofText(name, node);
    case 'boolean':
      return {
        good: [
          ['true', true],
          ['false', false],
        ],
        bad: [],
      };
    case 'array':
      return ofList(name, node);
    default:
      return ofMap(node);
  }
}

function ofNumber({ minimum = Number.NaN, maximum = Number.NaN }: SchemaNode, step: number): Samples {
  return {
    good: [
      ['at its minimum', minimum],
      ['at its maximum', maximum],
    ],
    bad: [
      ['below its minimum', minimum - step],
      ['above its maximum', maximum + step],
    ],
  };
}

function ofText(name: string, { pattern, minLength = 0, maxLength = 0 }: SchemaNode): Samples {
  const texts = pattern === undefined ? ANY_TEXT : TEXTS[pattern];
  if (!texts) throw new Error(`${name}: test/support/pool_samples.ts has no sample of ${pattern}`);
  return {
    good: [['of its greatest length', texts.of(maxLength)]],
    bad: [
      ['too long', texts.of(maxLength + 1)],
      ...(minLength > 0 || pattern ? ([['empty', '']] as const) : []),
      ...(texts.bad === undefined ? [] : ([['of another form', texts.bad]] as const)),
    ],
  };
}

function ofList(name: string, node: SchemaNode): Samples {
  const { minItems = 0, maxItems = 0, items } = node;
  const entry = (index: number): unknown =>
    items?.type === 'string'
      ? `sku_${index}`
      : { name: `w${index}`, cron: '0 8 * * *', durationSeconds: 60, minWorkers: 1 };
  const list = (length: number) => Array.from({ length }, (_, index) => entry(index));
  const text = items?.type === 'string' ? ofText(`${name}[]`, items) : undefined;
  return {
    good: [
      ['with most entries', list(maxItems)],
      ['with fewest entries', list(minItems)],
      ...(text?.good ?? []).map(([what, value]) => [`an entry ${what}`, [value]] as const),
    ],
    bad: [
      ['with too many entries', list(maxItems + 1)],
      ...(minItems > 0 ? ([['with too few entries', []]] as const) : []),
      ...(text?.bad ?? []).map(([what, value]) => [`an entry ${what}`, [value], '[0]'] as const),
    ],
  };
}

function ofMap({ maxProperties, additionalProperties }: SchemaNode): Samples {
  if (maxProperties === undefined || typeof additionalProperties !== 'object')
    return { good: [], bad: [['a list', []]] };
  const map = (length: number) => Object.fromEntries(Array.from({ length }, (_, index) => [`k${index}`, 'v']));
  const text = 'v'.repeat(additionalProperties.maxLength ?? 0);
  return {
    good: [
      ['with most entries', map(maxProperties)],
      ['with a value of its greatest length', { k: text }],
      ['empty', {}],
    ],
    bad: [
      ['with too many entries', map(maxProperties + 1)],
      ['with a value that is too long', { k: `${text}v` }, '.k'],
    ],
  };
}

function letters(length: number): string {
  return 'a'.repeat(length);
}
