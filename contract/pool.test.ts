import assert from 'node:assert/strict';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { RtvoiceError } from '../platform/errors.ts';
import { packageFile } from './package_files.ts';
import { parsePool, readPool } from './pool.ts';
import { openApiSchema, type SchemaNode } from './pool_schema.ts';

const SMALLEST = `apiVersion: rtvoice.dev/v1alpha1
kind: VoiceWorkerPool
metadata: { name: frontdesk }
spec:
  environment: dev
`;

function faultOf(text: string, file?: string): string {
  try {
    parsePool(text, file === undefined ? {} : { file });
  } catch (error) {
    assert.ok(error instanceof RtvoiceError, String(error));
    assert.equal(error.code, 'ERR_POOL_INVALID');
    return error.detail ?? '';
  }
  return assert.fail('the document was taken as valid');
}

test('a pool of five lines gets every default', () => {
  const { spec, metadata } = parsePool(SMALLEST);
  assert.equal(metadata.name, 'frontdesk');
  assert.deepEqual(
    [spec.minWorkers, spec.maxWorkers, spec.slotsPerWorker, spec.placement.strategy, spec.overflow.action],
    [2, 10, 100, 'Spread', 'Reject'],
  );
  assert.deepEqual(spec.scaling, {
    mode: 'Automatic',
    connectionsThresholdPercent: 80,
    memoryThresholdPercent: 70,
    scaleDownConnectionsPercent: 50,
    scaleDownMemoryPercent: 60,
    scaleDownStabilizationSeconds: 300,
    targetBlockingProbability: 0.01,
    intervalSeconds: 15,
    source: 'Metrics',
    floorSeconds: 1800,
    schedules: [],
  });
  assert.deepEqual(spec.redis, {
    unreplicatedGraceSeconds: 30,
    keyPrefix: 'rtvoice',
    affinitySeconds: 300,
    scaleAt: { memoryPercent: 70, clientsPercent: 80, operationsPerSecondPerShard: 10_000, shards: 1 },
    shed: { ttsCachePercent: 85, callsPercent: 92 },
    actuator: { type: 'None', cooldownSeconds: 3600 },
  });
  assert.deepEqual(
    [spec.update.maxSurge, spec.update.onFailure, spec.routing.mode, spec.secretName],
    [1, 'Rollback', 'Edge', 'rtvoice'],
  );
  assert.equal(spec.voice.dialogue, packageFile('examples/dialogue.yaml'));
});

test('two documents do not share their defaults', () => {
  const first = parsePool(SMALLEST);
  first.spec.scaling.intervalSeconds = 99;
  assert.equal(parsePool(SMALLEST).spec.scaling.intervalSeconds, 15);
});

for (const name of ['pool-minimal', 'pool-cluster']) {
  test(`examples/${name}.yaml is valid`, () => {
    assert.equal(readPool(packageFile(`examples/${name}.yaml`)).metadata.name, 'frontdesk');
  });
}

test('the example is valid and means the dialogue beside it', () => {
  const file = packageFile('examples/pool.yaml');
  const pool = readPool(file);
  assert.equal(pool.spec.slotsPerWorker, 8);
  assert.equal(pool.spec.voice.dialogue, join(dirname(file), 'dialogue.yaml'));
});

test('a dialogue path starts at the document, else at the working directory, and an absolute one stays', () => {
  const withDialogue = (path: string) => `${SMALLEST}  voice: { dialogue: ${path} }\n`;
  assert.equal(
    parsePool(withDialogue('d.yaml'), { file: '/etc/pools/p.yaml' }).spec.voice.dialogue,
    '/etc/pools/d.yaml',
  );
  assert.equal(parsePool(withDialogue('d.yaml')).spec.voice.dialogue, resolve('d.yaml'));
  assert.equal(parsePool(withDialogue('/srv/d.yaml'), { file: '/etc/p.yaml' }).spec.voice.dialogue, '/srv/d.yaml');
});

test('what `kubectl get -o yaml` prints is a pool document', () => {
  const pool = parsePool(`apiVersion: rtvoice.dev/v1alpha1
kind: VoiceWorkerPool
metadata: { name: a, namespace: calls, uid: 0b1, resourceVersion: "7", generation: 2, creationTimestamp: 2026-01-01T00:00:00Z, labels: { a: b } }
spec: { environment: prod }
status: { readyWorkers: 2, conditions: [{ type: Ready, status: "True", reason: Ok, message: "", lastTransitionTime: "2026-01-01T00:00:00Z" }] }
`);
  assert.equal(pool.metadata.namespace, 'calls');
  assert.equal(pool.status?.conditions?.[0]?.status, 'True');
});

test('JSON is taken as well as YAML', () => {
  const pool = parsePool(JSON.stringify({ ...parsePool(SMALLEST) }));
  assert.equal(pool.spec.environment, 'dev');
});

const BAD: readonly [name: string, text: string, ...says: RegExp[]][] = [
  ['nothing', '', /the document has the wrong type/],
  ['a list', '- a', /the document has the wrong type/],
  ['broken YAML', 'spec: [1', /line 1/],
  ['a field twice', `${SMALLEST}  environment: prod\n`, /line 6.*unique/i],
  ['two documents', `${SMALLEST}---\n${SMALLEST}`, /one document/],
  ['an alias to nothing', `${SMALLEST}  minWorkers: *none\n`, /alias/i],
  ['too long', `${SMALLEST}#${'x'.repeat(300_000)}`, /longer than 262144 characters/],
  ['another kind', SMALLEST.replace('VoiceWorkerPool', 'Deployment'), /kind \(line 2\).*write VoiceWorkerPool/],
  ['another version', SMALLEST.replace('v1alpha1', 'v2'), /apiVersion.*write rtvoice.dev\/v1alpha1/],
  ['no name', SMALLEST.replace('name: frontdesk', ''), /metadata\.name \(line 3\) is missing/],
  ['a name in capitals', SMALLEST.replace('frontdesk', 'FrontDesk'), /metadata\.name \(line 3\) is not a DNS label/],
  ['a name of 41 letters', SMALLEST.replace('frontdesk', 'f'.repeat(41)), /metadata\.name.*at most 40 characters/],
  ['no environment', SMALLEST.replace('environment: dev', 'minWorkers: 1'), /spec\.environment.*missing.*dev, test/],
  [
    'an unknown environment',
    SMALLEST.replace('dev\n', 'production\n'),
    /spec\.environment \(line 5\).*one of dev, test/,
  ],
  ['a slip of the pen', `${SMALLEST}  minWorker: 3\n`, /spec\.minWorker \(line 6\).*did you mean minWorkers\?/],
  [
    'an unknown field',
    `${SMALLEST}  drain: { colour: red }\n`,
    /spec\.drain\.colour.*externalDeadlineSeconds, atDeadline/,
  ],
  ['an unknown top field', `${SMALLEST}colour: red\n`, /colour \(line 6\) is not a field/],
  [
    'a text for a number',
    `${SMALLEST}  minWorkers: "3"\n`,
    /spec\.minWorkers.*wrong type.*whole number from 1 to 1000/,
  ],
  ['a fraction', `${SMALLEST}  minWorkers: 1.5\n`, /spec\.minWorkers.*wrong type/],
  ['no workers', `${SMALLEST}  minWorkers: 0\n`, /spec\.minWorkers.*too small/],
  ['a text for a section', `${SMALLEST}  scaling: much\n`, /spec\.scaling.*wrong type.*mapping/],
  ['a sample rate ACS has not', `${SMALLEST}  call: { sampleRateHertz: 8000 }\n`, /sampleRateHertz.*16000, 24000/],
  [
    'more than all',
    `${SMALLEST}  minWorkers: 3\n  maxWorkers: 2\n`,
    /spec\.minWorkers \(line 6\) is more than spec\.maxWorkers/,
  ],
  [
    'fewer slots than placed',
    `${SMALLEST}  slotsPerWorker: 9\n  worker: { hardSlotLimit: 8 }\n`,
    /hardSlotLimit.*less than/,
  ],
  [
    'thresholds that meet',
    `${SMALLEST}  scaling: { scaleDownConnectionsPercent: 80 }\n`,
    /scaleDownConnectionsPercent/,
  ],
  ['memory thresholds that meet', `${SMALLEST}  scaling: { scaleDownMemoryPercent: 70 }\n`, /scaleDownMemoryPercent/],
  ['a redirect to nobody', `${SMALLEST}  overflow: { action: Redirect }\n`, /redirectTo.*not set/],
  ['a grace longer than the call', `${SMALLEST}  call: { maxDurationSeconds: 10 }\n`, /mediaReconnectGraceSeconds/],
  [
    'a dialogue that does not ship',
    `${SMALLEST}  voice: { dialogue: "builtin:other" }\n`,
    /spec\.voice\.dialogue.*does not ship/,
  ],
];

for (const [name, text, ...says] of BAD) {
  test(`refused: ${name}`, () => {
    const fault = faultOf(text, 'pools/p.yaml');
    assert.ok(fault.startsWith('pools/p.yaml'), fault);
    for (const saying of says) assert.match(fault, saying);
  });
}

test('all faults are told at once, up to a bound', () => {
  const fault = faultOf(`${SMALLEST}  minWorkers: 0\n  slotsPerWorker: -1\n  colour: red\n`);
  for (const field of ['spec.minWorkers', 'spec.slotsPerWorker', 'spec.colour'])
    assert.ok(fault.includes(field), fault);
  const many = faultOf(SMALLEST + Array.from({ length: 50 }, (_, i) => `  x${i}: 1\n`).join(''));
  assert.match(many, /and 30 more/);
});

test('the document of a newer version is read without what is unknown here, where that is asked for', () => {
  const newer = `${SMALLEST}  mood: good\n  scaling: { tempo: 7, intervalSeconds: 9 }\n  worker: { podTemplate: { spec: { anything: 1 } } }\n`;
  const told: string[] = [];
  const { spec } = parsePool(newer, { onUnknown: (fields) => told.push(...fields) });
  assert.deepEqual(told, ['spec.mood', 'spec.scaling.tempo']);
  assert.equal(spec.scaling.intervalSeconds, 9);
  assert.deepEqual(spec.worker.podTemplate?.spec, { anything: 1 });
  assert.match(faultOf(newer), /spec\.mood/);
});

test('a phone number of the document never stands in the error', () => {
  const fault = faultOf(`${SMALLEST}  overflow: { action: Redirect, redirectTo: "+1 555 123 0000" }\n`);
  assert.match(fault, /redirectTo.*wrong form/);
  assert.doesNotMatch(fault, /555/);
});

test('a file that is not there says so', () => {
  assert.throws(() => readPool('/nowhere/pool.yaml'), /\/nowhere\/pool\.yaml cannot be read/);
});

test('whatever is inside the bounds of a number is valid, whatever is outside is refused with its path', () => {
  const numbers = [...fields(openApiSchema().properties?.spec ?? {}, ['spec'])].filter(
    ({ path, node }) =>
      node.type === 'integer' &&
      node.enum === undefined &&
      !path.some((part) => part === '[]' || OPTIONAL_PARTS.has(part)),
  );
  assert.ok(numbers.length >= 15);
  fc.assert(
    fc.property(fc.constantFrom(...numbers), fc.integer({ min: -10, max: 100_000 }), ({ path, node }, value) => {
      const inside = value >= (node.minimum ?? 0) && value <= (node.maximum ?? 0);
      const text = documentWith(path, value);
      const name = path.join('.');
      const wrong = inside ? validityOf(text) : faultOf(text);
      // A rule over two fields may still refuse it, but never for the bounds of this field.
      if (inside) assert.doesNotMatch(wrong, new RegExp(`${name.replaceAll('.', '\\.')} .*too (small|large)`));
      else assert.match(wrong, new RegExp(`${name.replaceAll('.', '\\.')} .*too (small|large)`));
    }),
    { numRuns: 200 },
  );
});

test('the structural schema describes and bounds every field', () => {
  for (const { path, node } of fields(openApiSchema(), [])) {
    const name = path.join('.');
    // The API server refuses a description there.
    if (!name.startsWith('metadata')) assert.ok(node.description, `${name} has no description`);
    // Kind and version are the API server's own; local mode takes one value only.
    const own = name === 'apiVersion' || name === 'kind';
    if (node.type === 'string' && !node.enum && !own && name !== 'metadata.name')
      assert.ok(node.maxLength, `${name} has no maxLength`);
    if (node.type === 'array') assert.ok(node.maxItems, `${name} has no maxItems`);
    if (node.type === 'integer' && name.startsWith('spec') && !node.enum) {
      assert.ok(node.minimum !== undefined && node.maximum !== undefined, `${name} has no bounds`);
    }
  }
});

test('conditions are a map by type', () => {
  const conditions = openApiSchema().properties?.status?.properties?.conditions;
  assert.deepEqual(conditions?.['x-kubernetes-list-map-keys'], ['type']);
});

/** Objects that have fields which must be given once they are there. */
const OPTIONAL_PARTS = new Set(['prometheus', 'webhook', 'azure', 'gateway']);

function* fields(node: SchemaNode, path: string[]): Generator<{ path: string[]; node: SchemaNode }> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    yield { path: [...path, name], node: child };
    yield* fields(child, [...path, name]);
  }
  if (node.items) yield* fields(node.items, [...path, '[]']);
}

function documentWith(path: readonly string[], value: number): string {
  const document: Record<string, unknown> = {
    apiVersion: 'rtvoice.dev/v1alpha1',
    kind: 'VoiceWorkerPool',
    metadata: { name: 'a' },
    spec: { environment: 'dev' },
  };
  let node = document;
  for (const part of path.slice(0, -1)) {
    node[part] ??= {};
    node = node[part] as Record<string, unknown>;
  }
  node[path.at(-1) ?? ''] = value;
  return stringify(document);
}

function validityOf(text: string): string {
  try {
    parsePool(text);
    return '';
  } catch (error) {
    return (error as RtvoiceError).detail ?? '';
  }
}
