import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { LABELS } from '../../contract/labels.ts';
import { packageFile } from '../../contract/package_files.ts';
import { LIVE_PERIOD_MS } from '../../controller/cluster/status_writer.ts';
import { ApiController, type AuditEntry } from '../support/api_controller.ts';
import { until } from '../support/calls_worker.ts';
import { lacksApiServer } from '../support/crd_server.ts';

const skip = lacksApiServer();
let api: ApiController;

before(async () => {
  if (skip) return;
  api = await ApiController.start();
  api.controller('c1');
});
after(() => (skip ? undefined : api[Symbol.asyncDispose]()));

const names = async (kind: string) =>
  (await api.kubectl.list<{ metadata: { name: string } }>(kind, 'calls')).map(({ metadata }) => metadata.name).sort();

test('a pool of five lines gets its workers and what stands beside them', { skip }, async () => {
  await api.applyPool('desk');
  const status = await api.until('desk', 'is ready', ({ phase }) => phase === 'Ready');
  assert.deepEqual([status.readyWorkers, status.wantedWorkers, status.capacity, status.redis], [2, 2, 20, 'Available']);
  assert.deepEqual(await names('service'), ['desk', 'desk-calls']);
  assert.deepEqual(await names('pdb'), ['desk']);
  assert.deepEqual(
    (await names('configmap')).filter((name) => name.startsWith('desk')),
    [`desk-${status.revision}`],
  );
  const table = await api.kubectl.run(['get', 'vwp', 'desk', '-n', 'calls']);
  assert.match(
    table,
    /^NAME +READY +DESIRED +CALLS +CAPACITY +UTIL +DRAINING +REDIS +STATUS +AGE\ndesk +2 +2 +0 +20 +0 +0 +Available +Ready/,
  );
});

test('nothing is written while nothing changes', { skip }, async () => {
  const writes = () => api.audit().filter(({ verb }) => !['get', 'list', 'watch'].includes(verb));
  const others = () => writes().filter(({ objectRef }) => objectRef?.resource !== 'leases');
  await api.until('desk', 'is ready', ({ phase }) => phase === 'Ready');
  // What the changes before have set off is written by then; what would be written again and again is not over ever.
  let said: string[] = [];
  const isQuiet = async () => {
    const before = others().length;
    await new Promise((resolve) => setTimeout(resolve, LIVE_PERIOD_MS + 3_000));
    said = others().slice(before).map(requestOf);
    return said.length === 0;
  };
  await until(isQuiet, 'it is quiet for longer than the period of live figures', 70_000).catch((error: unknown) => {
    throw new Error(said.join('\n'), { cause: error });
  });
});

test('kubectl scale, the selector of /scale, and a floor that is not gone below', { skip }, async () => {
  await api.kubectl.run(['scale', '-n', 'calls', 'vwp/desk', '--replicas=4']);
  await api.until('desk', 'has four', ({ readyWorkers }) => readyWorkers === 4);
  const raw = JSON.parse(
    await api.kubectl.run(['get', '--raw', '/apis/rtvoice.dev/v1alpha1/namespaces/calls/voiceworkerpools/desk/scale']),
  ) as { status: { replicas: number; selector: string } };
  assert.equal(raw.status.replicas, 4);
  assert.equal((await api.kubectl.list('pod', 'calls', raw.status.selector)).length, 4);
  await api.kubectl.run(['scale', '-n', 'calls', 'vwp/desk', '--replicas=1']);
  await api.until(
    'desk',
    'has two',
    ({ readyWorkers, drainingWorkers }) => readyWorkers === 2 && drainingWorkers === 0,
  );
});

test('what somebody deletes or changes is put right', { skip }, async () => {
  await api.kubectl.run(['delete', 'service', 'desk-calls', '-n', 'calls']);
  await until(async () => (await names('service')).includes('desk-calls'), 'the Service is back', 20_000);
  const budget = async () =>
    (await api.kubectl.find<{ spec: { minAvailable: number } }>('pdb', 'desk', 'calls'))?.spec.minAvailable;
  const strict = await budget();
  await api.kubectl.run(['patch', 'pdb', 'desk', '-n', 'calls', '--type=merge', '-p', '{"spec":{"minAvailable":1}}']);
  await until(async () => (await budget()) === strict, 'the budget is strict again', 20_000);
});

test('a Service of somebody else is not taken over', { skip }, async () => {
  await api.kubectl.run(['create', 'service', 'clusterip', 'taken', '-n', 'calls', '--tcp=80:80']);
  await api.applyPool('taken');
  await api.until('taken', 'says that its name is taken', ({ conditions }) =>
    conditions.some(({ reason, message }) => reason === 'NameTaken' && message.includes('services/taken')),
  );
  await api.kubectl.run(['delete', 'service', 'taken', '-n', 'calls']);
  await api.until('taken', 'is ready', ({ phase }) => phase === 'Ready');
});

test('a missing Secret is a condition that names it, and ends when it is there', { skip }, async () => {
  await api.applyPool('late', { secretName: 'late' });
  const status = await api.until('late', 'misses its Secret', ({ conditions }) =>
    conditions.some(({ reason }) => reason === 'SecretMissing'),
  );
  assert.match(
    status.conditions.find(({ type }) => type === 'ConfigurationInvalid')?.message ?? '',
    /calls\/late; make it/,
  );
  assert.equal((await api.kubectl.list('pod', 'calls', `${LABELS.pool}=late`)).length, 0);
  await api.applyPool('late', { secretName: 'rtvoice' });
  await api.until('late', 'is ready', ({ phase }) => phase === 'Ready');
  await api.applyPool('late', { secretName: 'another' });
  await api.until('late', 'misses the one it names now', ({ conditions }) =>
    conditions.some(({ reason, message }) => reason === 'SecretMissing' && message.includes('calls/another')),
  );
  await api.kubectl.run(['delete', 'vwp', 'late', '-n', 'calls', '--timeout=60s']);
  assert.equal((await api.kubectl.list('pod', 'calls', `${LABELS.pool}=late`)).length, 0);
});

test('a second controller takes over when the first dies, and at once when it stops in order', {
  skip,
  timeout: 120_000,
}, async () => {
  const holder = async () =>
    (await api.kubectl.find<{ spec: { holderIdentity: string } }>('lease', 'rtvoice-controller', 'rtvoice'))?.spec
      .holderIdentity;
  const second = api.controller('c2');
  await until(async () => (await holder()) === 'c1', 'the first leads', 20_000);
  const third = api.controller('c3');
  await until(() => /controller runs/.test(api.log('c3')), 'the third watches', 20_000);
  const [first] = api.children;
  first?.kill('SIGKILL');
  await until(async () => ['c2', 'c3'].includes((await holder()) ?? ''), 'another leads', 30_000);
  const [leader, other] = (await holder()) === 'c2' ? [second, 'c3'] : [third, 'c2'];
  const stopped = once(leader, 'exit');
  leader.kill('SIGTERM');
  assert.equal((await stopped)[0], 0);
  await until(async () => (await holder()) === other, 'the last one leads', 10_000);
  await api.applyPool('after');
  await api.until('after', 'is ready', ({ phase }) => phase === 'Ready');
});

test('the role of deploy/controller.yaml is what the controller uses, and no more', { skip }, async () => {
  const used = new Set<string>();
  for (const entry of api.audit().filter(({ objectRef }) => objectRef?.resource !== undefined)) {
    assert.notEqual(entry.responseStatus?.code, 403, `${requestOf(entry)} is forbidden`);
    used.add(requestOf(entry));
    // An apply that made the object was asked for both rights.
    if (entry.verb === 'patch' && entry.responseStatus?.code === 201) used.add(requestOf({ ...entry, verb: 'create' }));
  }
  // Not met here: routes, and the Services of single workers beside them, need the Gateway API; the right on finalizers is asked for by an
  // admission plugin that is off by default.
  const elsewhere = /httproutes|delete services|voiceworkerpools\/finalizers/;
  const granted = grantedRights().filter((right) => !elsewhere.test(right));
  assert.deepEqual(
    granted.filter((right) => !used.has(right)),
    [],
  );
});

function requestOf({ verb, objectRef }: AuditEntry): string {
  return `${verb} ${[objectRef?.resource, objectRef?.subresource].filter(Boolean).join('/')}`;
}

function grantedRights(): string[] {
  const documents = parseAllDocuments(readFileSync(packageFile('deploy/controller.yaml'), 'utf8'));
  return documents
    .map(
      (document) =>
        document.toJS() as {
          kind?: string;
          metadata?: { name?: string };
          rules?: { resources: string[]; verbs: string[] }[];
        },
    )
    .filter(
      ({ kind, metadata }) => (kind === 'ClusterRole' || kind === 'Role') && metadata?.name === 'rtvoice-controller',
    )
    .flatMap(({ rules = [] }) =>
      rules.flatMap(({ resources, verbs }) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
      ),
    );
}
