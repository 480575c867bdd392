import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { packageFile } from '../../contract/package_files.ts';
import { parsePool } from '../../contract/pool.ts';
import { CrdServer, lacksApiServer } from '../support/crd_server.ts';
import { aDocument, type Json } from '../support/pool_documents.ts';

const SELECTOR = 'rtvoice.dev/pool=desk,rtvoice.dev/admitting=true';
const TIME = '2026-01-01T00:00:00Z';
const APPLY = 'application/apply-patch+yaml';

/** As the controller writes it. */
const STATUS = {
  observedGeneration: 1,
  replicas: 3,
  selector: SELECTOR,
  phase: 'Progressing',
  wantedWorkers: 4,
  readyWorkers: 3,
  drainingWorkers: 1,
  activeCalls: 117,
  capacity: 300,
  utilizationPercent: 39,
  oldestCallSeconds: 754,
  redis: 'Available',
  revision: 'a1b2c3',
  updateRevision: 'd4e5f6',
  image: 'registry.example/rtvoice:1',
  rollout: { phase: 'Canary', message: '7 of 20 calls seen on the new revision', failed: false },
  scaleRequest: { replicas: 4, holds: true },
  lastScaling: { time: TIME, from: 3, to: 4, reason: 'more calls than usable slots' },
  drains: [
    {
      worker: 'desk-abcde',
      reason: 'the node is drained',
      calls: 2,
      oldestCallSeconds: 754,
      since: TIME,
      expectedEnd: TIME,
      deadline: TIME,
      waitingFor: '2 calls',
    },
  ],
  waitingFor: ['desk-abcde drains: 2 calls'],
  conditions: [condition('Ready', 'True')],
};

describe('the resource beside its spec', { skip: lacksApiServer() }, () => {
  let server: CrdServer;
  before(async () => {
    server = await CrdServer.start();
  });
  after(() => server[Symbol.asyncDispose]());
  afterEach(async () => {
    await server.pools('DELETE', '');
  });

  const make = async (spec: Json = {}, more: Json = {}): Promise<Json> => {
    const { code, body } = await server.pools('POST', '', aDocument(spec, more));
    assert.equal(code, 201, body.message);
    return body;
  };
  const get = async (): Promise<Json> => (await server.pools('GET', '/desk')).body;
  const writeStatus = async (status: Json = STATUS): Promise<void> => {
    const { code, body } = await server.pools('PATCH', '/desk/status', { status }, 'application/merge-patch+json');
    assert.equal(code, 200, body.message);
  };
  const columns = async (...options: string[]): Promise<Map<string, string>> => {
    const [head = '', row = ''] = (await server.kubectl('get', 'vwp', 'desk', ...options)).split('\n');
    const values = row.trim().split(/ {2,}/);
    return new Map(
      head
        .trim()
        .split(/ {2,}/)
        .map((name, index) => [name, values[index] ?? '']),
    );
  };

  it('is stored with every default that local mode fills in', async () => {
    await make();
    const { spec } = await get();
    const local = parsePool(JSON.stringify(aDocument({ voice: { dialogue: '/d.yaml' } }))).spec;
    assert.deepEqual(spec, { ...local, voice: { ...local.voice, dialogue: 'builtin:example' } });
  });

  it('has a /scale that reads the status and writes spec.replicas, within its bounds and as a change of the spec', async () => {
    await make({ replicas: 2 });
    await writeStatus();
    const { body: scale } = await server.pools('GET', '/desk/scale');
    assert.deepEqual(scale.spec, { replicas: 2 });
    assert.deepEqual(scale.status, { replicas: 3, selector: SELECTOR });
    assert.equal((await server.pools('PUT', '/desk/scale', { ...scale, spec: { replicas: 5 } })).code, 200);
    const { spec, metadata } = await get();
    assert.equal((spec as Json).replicas, 5);
    assert.equal((metadata as Json).generation, 2);
    const { body: newer } = await server.pools('GET', '/desk/scale');
    const { code, body } = await server.pools('PUT', '/desk/scale', { ...newer, spec: { replicas: 1001 } });
    assert.equal(code, 422);
    assert.match(body.message ?? '', /spec\.replicas/);
  });

  it('is scaled by kubectl, also when nobody has written a number before', async () => {
    await make();
    await server.kubectl('scale', 'vwp/desk', '--replicas=7');
    assert.equal(((await get()).spec as Json).replicas, 7);
    await server.kubectl('scale', 'vwp/desk', '--current-replicas=7', '--replicas=3');
    assert.equal(((await get()).spec as Json).replicas, 3);
    await assert.rejects(
      server.kubectl('scale', 'vwp/desk', '--current-replicas=7', '--replicas=4'),
      /Expected replicas/,
    );
  });

  it('cannot be read through /scale before a number is there: what an autoscaler needs set once', async () => {
    await make();
    const { code, body } = await server.pools('GET', '/desk/scale');
    assert.equal(code, 500);
    assert.match(body.message ?? '', /\.spec\.replicas.*does not exist/);
  });

  it('keeps status and spec apart', async () => {
    const made = await make({}, { status: { readyWorkers: 9 } });
    assert.equal(made.status, undefined);
    await writeStatus();
    const written = await get();
    assert.deepEqual(written.status, STATUS);
    assert.equal((written.metadata as Json).generation, 1);
    const spec = { ...(written.spec as Json), maxWorkers: 20 };
    const both = { ...written, spec, status: { ...STATUS, readyWorkers: 9 } };
    const { body: changed } = await server.pools('PUT', '/desk', both);
    assert.deepEqual([(changed.spec as Json).maxWorkers, (changed.metadata as Json).generation], [20, 2]);
    assert.deepEqual(changed.status, STATUS);
    const wrong = { ...changed, spec: { ...spec, maxWorkers: 30 }, status: { ...STATUS, readyWorkers: 1 } };
    const { body: reported } = await server.pools('PUT', '/desk/status', wrong);
    assert.deepEqual([(reported.spec as Json).maxWorkers, (reported.status as Json).readyWorkers], [20, 1]);
  });

  it('refuses a status that programs could not read', async () => {
    await make();
    for (const [status, field] of [
      [{ ...STATUS, redis: 'Fine' }, 'status.redis'],
      [{ ...STATUS, activeCalls: -1 }, 'status.activeCalls'],
      [{ ...STATUS, rollout: { phase: 'Stable' } }, 'status.rollout.message'],
      [{ ...STATUS, waitingFor: Array.from({ length: 21 }, () => 'x') }, 'status.waitingFor'],
      [{ ...STATUS, lastScaling: { ...STATUS.lastScaling, time: 'noon' } }, 'status.lastScaling.time'],
      [{ ...STATUS, conditions: [condition('Ready', 'True'), condition('Ready', 'False')] }, 'status.conditions[1]'],
    ] as const) {
      const { code, body } = await server.pools('PATCH', '/desk/status', { status }, 'application/merge-patch+json');
      assert.equal(code, 422, field);
      assert.ok(
        body.details?.causes?.some((cause) => cause.field === field),
        body.message,
      );
    }
  });

  it('prints one line that says how the pool is', async () => {
    await make();
    await writeStatus();
    const narrow = await columns();
    const age = narrow.get('AGE') ?? '';
    assert.match(age, /^\d+(s|m\d*s?)$/);
    assert.deepEqual(
      [...narrow],
      [
        ['NAME', 'desk'],
        ['READY', '3'],
        ['DESIRED', '4'],
        ['CALLS', '117'],
        ['CAPACITY', '300'],
        ['UTIL', '39'],
        ['DRAINING', '1'],
        ['REDIS', 'Available'],
        ['STATUS', 'Progressing'],
        ['AGE', age],
      ],
    );
    const wide = await columns('-o', 'wide');
    assert.deepEqual(
      ['IMAGE', 'REVISION', 'OLDEST'].map((name) => wide.get(name)),
      ['registry.example/rtvoice:1', 'a1b2c3', '754'],
    );
    assert.match(wide.get('LAST-SCALING') ?? '', /^\d+[hdy]/);
  });

  it('explains itself to kubectl', async () => {
    const text = await server.kubectl('explain', 'vwp.spec.scaling');
    assert.match(text, /KIND: +VoiceWorkerPool/);
    assert.match(text, /How many workers there are\./);
    assert.match(text, /floorSeconds\s+<integer>\s+How long a number written to `\/scale` holds the pool up/);
    assert.match(text, /source\s+<string>\s+enum: Metrics, Heartbeat, Prometheus/);
    assert.match(await server.kubectl('explain', 'vwp.spec.worker.podTemplate.spec'), /Fields of a PodSpec/);
    assert.match(await server.kubectl('get', 'rtvoice'), /^$|No resources/);
  });

  it('lets two managers own conditions of different types', async () => {
    const made = await make();
    const metadata = { name: 'desk', uid: (made.metadata as Json).uid };
    const apply = async (manager: string, conditions: Json[]) => {
      const object = { apiVersion: made.apiVersion, kind: made.kind, metadata, status: { conditions } };
      return server.pools('PATCH', `/desk/status?fieldManager=${manager}`, object, APPLY);
    };
    const types = async () => {
      const { status } = await get();
      return ((status as Json).conditions as Json[]).map(({ type, status: value }) => `${type} ${value}`).sort();
    };
    assert.equal((await apply('rtvoice-controller', [condition('Ready', 'True')])).code, 200);
    assert.equal((await apply('someone', [condition('Audited', 'True')])).code, 200);
    assert.deepEqual(await types(), ['Audited True', 'Ready True']);
    assert.equal((await apply('rtvoice-controller', [condition('Ready', 'False')])).code, 200);
    assert.deepEqual(await types(), ['Audited True', 'Ready False']);
    const { code, body } = await apply('someone', [condition('Audited', 'True'), condition('Ready', 'True')]);
    assert.equal(code, 409);
    assert.match(body.message ?? '', /rtvoice-controller/);
    assert.equal((await apply('rtvoice-controller', [])).code, 200);
    assert.deepEqual(await types(), ['Audited True']);
  });

  it('takes every example that ships', async () => {
    await server.kubectl('create', 'namespace', 'voice');
    for (const name of ['pool', 'pool-minimal', 'pool-cluster']) {
      const made = await server.kubectl('create', '--validate=strict', '-f', packageFile(`examples/${name}.yaml`));
      assert.match(made, /voiceworkerpool\.rtvoice\.dev\/\S+ created/);
      await server.kubectl('delete', 'vwp', '--all', '--all-namespaces');
    }
  });
});

function condition(type: string, status: 'True' | 'False') {
  return { type, status, lastTransitionTime: TIME, reason: 'Tested', message: 'by a test', observedGeneration: 1 };
}
