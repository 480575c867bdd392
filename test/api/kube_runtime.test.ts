import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { KubeClient } from '../../controller/kube/client.ts';
import { kubeEndpoint } from '../../controller/kube/credentials.ts';
import { isConflict, isGone, isInvalid, isRetryable, KubeError } from '../../controller/kube/errors.ts';
import { EventRecorder } from '../../controller/kube/events.ts';
import { addFinalizer, removeFinalizer } from '../../controller/kube/finalizers.ts';
import { Informer } from '../../controller/kube/informer.ts';
import { createKubeMetrics } from '../../controller/kube/metrics.ts';
import type { ConfigMap, KubeObject } from '../../controller/kube/objects.ts';
import { CONFIG_MAPS, CRDS, type Resource } from '../../controller/kube/resources.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { seededRandom, systemRandom } from '../../platform/random.ts';
import { ApiServer } from '../../tools/cluster/api_server.ts';
import { binary } from '../../tools/cluster/paths.ts';
import { until } from '../support/calls_worker.ts';

/** The controller's runtime against the real API server. */

const run = promisify(execFile);
const metrics = createKubeMetrics(createRegistry({ processMetrics: false }));
const shared = { clock: systemClock, log: silentLog, metrics };
let root: string;
let server: ApiServer;
let client: KubeClient;

before(async () => {
  root = mkdtempSync(join(tmpdir(), 'kube-runtime-'));
  server = await ApiServer.start({ folder: join(root, 'server') });
  client = new KubeClient({ ...shared, endpoint: await kubeEndpoint('', server.kubeconfig()) });
});
after(async () => {
  await client.close();
  await server[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const at = (name: string) => ({ namespace: 'default', name });
const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({ metadata: at(name), data });
const refused = (status: number) => (error: unknown) => error instanceof KubeError && error.status === status;

interface Thing extends KubeObject {
  spec?: { size?: number };
  status?: { phase?: string; conditions?: { type: string; status: string }[] };
}
const THINGS: Resource<Thing> = {
  ...{ group: 'test.rtvoice.dev', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true },
};

test('two managers of a field conflict, and force takes it over', async () => {
  const name = 'owned';
  await client.apply(CONFIG_MAPS, configMap(name, { a: 'one' }), { fieldManager: 'first' });
  const theirs = client.apply(CONFIG_MAPS, configMap(name, { a: 'two' }), { fieldManager: 'second', force: false });
  await assert.rejects(theirs, (error) => {
    assert.ok(error instanceof KubeError && isConflict(error));
    assert.deepEqual(
      error.causes.map(({ field }) => field),
      ['.data.a'],
    );
    return true;
  });
  await client.apply(CONFIG_MAPS, configMap(name, { a: 'two', b: 'x' }), { fieldManager: 'second' });
  assert.deepEqual((await client.get(CONFIG_MAPS, at(name)))?.data, { a: 'two', b: 'x' });
  // What a manager does not say any more is taken away, and nobody else's.
  await client.apply(CONFIG_MAPS, configMap(name, { c: 'y' }), { fieldManager: 'first' });
  await client.apply(CONFIG_MAPS, configMap(name, { a: 'two' }), { fieldManager: 'second' });
  assert.deepEqual((await client.get(CONFIG_MAPS, at(name)))?.data, { a: 'two', c: 'y' });
});

test('a kind is installed with its rules, and its status is written apart from the rest', async () => {
  const schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: { size: { type: 'integer' } },
        'x-kubernetes-validations': [{ rule: 'self.size < 10', message: 'too big' }],
      },
      status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
  };
  const version = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } };
  const crd = {
    metadata: { name: 'things.test.rtvoice.dev' },
    spec: {
      ...{ group: 'test.rtvoice.dev', scope: 'Namespaced', names: { plural: 'things', kind: 'Thing' } },
      versions: [{ ...version, subresources: { status: {} } }],
    },
  };
  await client.apply<KubeObject>(CRDS, crd, { fieldManager: 'us' });
  const thing: Thing = { metadata: at('one'), spec: { size: 3 } };
  await until(
    () =>
      client.apply(THINGS, thing, { fieldManager: 'us' }).then(
        () => true,
        () => false,
      ),
    'the kind is served',
    20_000,
  );
  const tooBig = client.apply(THINGS, { ...thing, spec: { size: 11 } }, { fieldManager: 'us' });
  await assert.rejects(tooBig, (error) => isInvalid(error) && /too big/.test(String(error)));
  const conditions = [{ type: 'Ready', status: 'True' }];
  const status = { metadata: at('one'), spec: { size: 5 }, status: { phase: 'Ready', conditions } };
  await client.applyStatus(THINGS, status, { fieldManager: 'us' });
  const seen = await client.get(THINGS, at('one'));
  assert.deepEqual([seen?.spec, seen?.status], [{ size: 3 }, { phase: 'Ready', conditions }]);
  await client.patch(THINGS, at('one'), { status: { phase: 'Gone' } }, 'merge', { subresource: 'status' });
  assert.equal((await client.get(THINGS, at('one')))?.status?.phase, 'Gone');
  await client.patch(THINGS, at('one'), [{ op: 'replace', path: '/spec/size', value: 4 }], 'json');
  assert.equal((await client.get(THINGS, at('one')))?.spec?.size, 4);
});

test('what has changed meanwhile is neither replaced nor deleted', async () => {
  const first = await client.create(CONFIG_MAPS, configMap('guarded', { a: '1' }));
  await assert.rejects(client.create(CONFIG_MAPS, configMap('guarded')), refused(409));
  const second = await client.update(CONFIG_MAPS, { ...first, data: { a: '2' } });
  await assert.rejects(client.update(CONFIG_MAPS, { ...first, data: { a: '3' } }), refused(409));
  const { uid = '', resourceVersion = '' } = second.metadata;
  assert.ok(uid !== '' && resourceVersion !== '');
  await assert.rejects(client.delete(CONFIG_MAPS, at('guarded'), { uid: 'another' }), refused(409));
  const old = first.metadata.resourceVersion ?? '';
  await assert.rejects(client.delete(CONFIG_MAPS, at('guarded'), { uid, resourceVersion: old }), refused(409));
  assert.equal(await client.delete(CONFIG_MAPS, at('guarded'), { uid, resourceVersion }), 'deleted');
  assert.equal(await client.delete(CONFIG_MAPS, at('guarded'), { uid }), 'absent');
  assert.equal(await client.get(CONFIG_MAPS, at('guarded')), undefined);
});

test('a dry run leaves nothing, and a made-up name begins as asked', async () => {
  await client.create(CONFIG_MAPS, configMap('dry'), { dryRun: true });
  assert.equal(await client.get(CONFIG_MAPS, at('dry')), undefined);
  const made = await client.create(CONFIG_MAPS, {
    metadata: { name: '', generateName: 'made-', namespace: 'default' },
  });
  assert.match(made.metadata.name, /^made-.{5}$/);
});

test('a finalizer holds the object until it is removed, and an older view of the list changes nothing', async () => {
  const made = await client.create(CONFIG_MAPS, configMap('held'));
  await addFinalizer(client, CONFIG_MAPS, made, 'rtvoice.dev/test');
  const held = await client.get(CONFIG_MAPS, at('held'));
  assert.ok(held);
  await addFinalizer(client, CONFIG_MAPS, made, 'rtvoice.dev/late');
  assert.deepEqual((await client.get(CONFIG_MAPS, at('held')))?.metadata.finalizers, ['rtvoice.dev/test']);
  await client.delete(CONFIG_MAPS, at('held'));
  const ending = await client.get(CONFIG_MAPS, at('held'));
  assert.ok(ending?.metadata.deletionTimestamp);
  await removeFinalizer(client, CONFIG_MAPS, ending, 'rtvoice.dev/test');
  assert.equal(await client.get(CONFIG_MAPS, at('held')), undefined);
});

test('people see events with kubectl, repeated ones with their number', async () => {
  const { clock, log } = shared;
  const recorder = new EventRecorder({
    ...{ client, clock, log, random: systemRandom, component: 'rtvoice-controller', instance: 'test' },
  });
  const object = await client.create(CONFIG_MAPS, configMap('told'));
  const regarding = { ...object, apiVersion: 'v1', kind: 'ConfigMap' };
  recorder.event(regarding, 'Normal', 'ScaledUp', 'from 1 to 2 workers');
  for (let i = 0; i < 3; i++) recorder.event(regarding, 'Warning', 'Frozen', `no figures: ${'é'.repeat(600)}`);
  await recorder.flushed();
  const env = { ...process.env, KUBECONFIG: server.kubeconfig(), HOME: root };
  const { stdout } = await run(binary('kubectl'), ['describe', 'configmap', 'told'], { env });
  assert.match(stdout, /Normal +ScaledUp +\S+ +rtvoice-controller +from 1 to 2 workers/);
  assert.match(stdout, /Warning +Frozen +\S+ \(x3 over \S+\) +rtvoice-controller +no figures: é+/);
});

test('a cache sees every one of 2,000 objects, whatever the server goes through', async (t) => {
  const labels = { churn: 'yes' };
  const random = seededRandom(1);
  const informer = new Informer<ConfigMap>({
    ...{ ...shared, client, random, resource: CONFIG_MAPS, labelSelector: 'churn=yes', freeze: true },
    indexes: { round: ({ data }) => [data?.round ?? ''] },
  });
  // What a listener has been told adds up to what there is.
  const told = new Map<string, ConfigMap>();
  informer.onChange((old, now) => {
    const known = told.get((now ?? old)?.metadata.name ?? '');
    assert.equal(known?.metadata.uid, old?.metadata.uid, 'the old object is the one that was told before');
    if (now) told.set(now.metadata.name, now);
    else told.delete(old?.metadata.name ?? '');
  });
  informer.start();
  const names = Array.from({ length: 2_000 }, (_, i) => `churn-${i}`);
  const make = (name: string, round: number) => ({ metadata: { ...at(name), labels }, data: { round: String(round) } });
  await each(names, async (name) => void (await client.create(CONFIG_MAPS, make(name, 0))));
  await until(() => informer.list().length === 2_000, 'all are there', 30_000);

  const restarted = (async () => {
    await server.stopServers();
    await server.startServers();
  })();
  await each(names, (name, i) =>
    insist(async () => {
      if (i % 4 === 0) await client.delete(CONFIG_MAPS, at(name));
      // Another object under the name of the old one.
      if (i % 8 === 0) await client.apply(CONFIG_MAPS, make(name, 1), { fieldManager: 'us' });
      if (i % 4 !== 0) await client.apply(CONFIG_MAPS, make(name, 1), { fieldManager: 'us' });
    }),
  );
  await restarted;
  const startMs = performance.now();
  const there = new Map<string, string>();
  for (let next: string | undefined, begun = false; next !== undefined || !begun; begun = true) {
    const page = await client.list(CONFIG_MAPS, {
      labelSelector: 'churn=yes',
      limit: 500,
      ...(next ? { continue: next } : {}),
    });
    for (const { metadata } of page.items) there.set(metadata.name, `${metadata.uid} ${metadata.resourceVersion}`);
    next = page.continue;
  }
  assert.equal(there.size, 1_750);
  const same = (objects: Iterable<ConfigMap>) => {
    const shown = [...objects].map(({ metadata }) => [metadata.name, `${metadata.uid} ${metadata.resourceVersion}`]);
    return shown.length === there.size && shown.every(([name = '', text]) => there.get(name) === text);
  };
  await until(() => same(informer.list()), 'the cache is what the server has', 60_000);
  t.diagnostic(`level with the server ${Math.round(performance.now() - startMs)} ms after the last write`);
  assert.ok(same(told.values()));
  assert.equal(informer.byIndex('round', '1').length, 1_750);
  await informer.stop();
});

test('a version that the server does not keep any more is told as 410', async () => {
  const watch = async () => {
    const options = { resourceVersion: '1', timeoutSeconds: 20 };
    for await (const event of client.watch(CONFIG_MAPS, options, new AbortController().signal)) {
      if (event.type === 'ERROR') throw new KubeError(event.object.code ?? 0, event.object, 'in the stream');
    }
  };
  // What a server that has just started keeps begins there.
  await server.stopServers();
  await server.startServers();
  await assert.rejects(watch, isGone);
});

const isTransient = (error: unknown) => isRetryable(error) || refused(401)(error) || refused(403)(error);

/** While the server starts it refuses for a moment what it will allow. */
async function insist(write: () => Promise<void>): Promise<void> {
  await until(
    () =>
      write().then(
        () => true,
        (error: unknown) => {
          if (!isTransient(error)) throw error;
          return false;
        },
      ),
    'the server takes it',
    60_000,
  );
}

/** Sixteen at a time. */
async function each(names: readonly string[], work: (name: string, index: number) => Promise<void>): Promise<void> {
  const entries = names.entries();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const [index, name] of entries) await work(name, index);
    }),
  );
}
