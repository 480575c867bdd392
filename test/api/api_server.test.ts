import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Agent, request } from 'undici';
import { ApiServer } from '../../tools/cluster/api_server.ts';
import { binary } from '../../tools/cluster/paths.ts';
import { findProcesses } from '../../tools/cluster/processes.ts';
import { until } from '../support/calls_worker.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
let folder: string;
let server: ApiServer;
let agent: Agent;

before(async () => {
  folder = join(mkdtempSync(join(tmpdir(), 'api-')), 'server');
  const users = [
    { name: 'reader', groups: ['readers'] },
    { name: 'stranger', groups: [] },
  ];
  const flags = ['--max-requests-inflight=50'];
  server = await ApiServer.start({ folder, users, controllerManager: true, scheduler: true, flags });
  agent = new Agent({ connect: { ca: readFileSync(server.pki.caFile, 'utf8') } });
});
after(async () => {
  await agent.destroy();
  await server[Symbol.asyncDispose]();
  rmSync(join(folder, '..'), { recursive: true, force: true });
});

interface Answer {
  readonly code: number;
  readonly body: {
    readonly metadata?: { uid: string };
    readonly data?: unknown;
    readonly spec?: { nodeName?: string };
  };
}

async function call(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  user: string,
  body?: object,
): Promise<Answer> {
  const headers = { authorization: `Bearer ${server.pki.token(user)}`, 'content-type': 'application/json' };
  const sent = body === undefined ? null : JSON.stringify(body);
  const answer = await request(`${server.url}${path}`, { method, dispatcher: agent, headers, body: sent });
  return { code: answer.statusCode, body: (await answer.body.json()) as Answer['body'] };
}

const configMap = (name: string, owner?: { name: string; uid: string }) => ({
  metadata: {
    name,
    ownerReferences: owner && [{ apiVersion: 'v1', kind: 'ConfigMap', name: owner.name, uid: owner.uid }],
  },
  data: { said: name },
});

test('each user is who the token says, and gets what RBAC grants, no more', async () => {
  assert.equal((await call('POST', CONFIG_MAPS, 'admin', configMap('first'))).code, 201);
  assert.equal((await call('GET', `${CONFIG_MAPS}/first`, 'reader')).code, 403);
  const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'readers' }];
  const bindings = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
  await call('POST', bindings, 'admin', { metadata: { name: 'readers' }, roleRef: role, subjects });
  await until(
    async () => (await call('GET', `${CONFIG_MAPS}/first`, 'reader')).code === 200,
    'the binding counts',
    10_000,
  );
  assert.equal((await call('POST', CONFIG_MAPS, 'reader', configMap('second'))).code, 403);
  assert.equal((await call('GET', `${CONFIG_MAPS}/first`, 'stranger')).code, 403);
  assert.throws(() => server.pki.token('nobody'), /there is no user nobody/);
});

test('kubectl works with the kubeconfig of a user', () => {
  const env = { ...process.env, KUBECONFIG: server.kubeconfig('reader'), HOME: folder };
  const { stdout, stderr } = spawnSync(binary('kubectl'), ['auth', 'whoami'], { env, encoding: 'utf8' });
  assert.match(stdout, /Username\s+reader/, stderr);
});

test('a Pod is bound to a Node by the scheduler', async () => {
  const name = 'made-up';
  await call('POST', '/api/v1/nodes', 'admin', { metadata: { name } });
  const status = {
    allocatable: { cpu: '4', memory: '1Gi', pods: '10' },
    conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: new Date().toISOString() }],
  };
  const { code } = await call('PUT', `/api/v1/nodes/${name}/status`, 'admin', { metadata: { name }, status });
  assert.equal(code, 200);
  const containers = [{ name: 'main', image: 'none' }];
  const spec = { containers, tolerations: [{ operator: 'Exists' }] };
  await call('POST', '/api/v1/namespaces/default/pods', 'admin', { metadata: { name: 'waiting' }, spec });
  const bound = async () =>
    (await call('GET', '/api/v1/namespaces/default/pods/waiting', 'admin')).body.spec?.nodeName === name;
  await until(bound, 'the Pod is bound', 20_000);
});

test('data and clients survive that etcd and the API server are killed, and the controller-manager works again', async () => {
  const { body: owner } = await call('POST', CONFIG_MAPS, 'admin', configMap('owner'));
  const { uid } = owner.metadata ?? {};
  assert.ok(uid);
  assert.equal((await call('POST', CONFIG_MAPS, 'admin', configMap('owned', { name: 'owner', uid }))).code, 201);
  await server.stopServers();
  await assert.rejects(call('GET', `${CONFIG_MAPS}/owner`, 'admin'));
  await server.startServers();
  assert.deepEqual((await call('GET', `${CONFIG_MAPS}/owner`, 'admin')).body.data, { said: 'owner' });
  await call('DELETE', `${CONFIG_MAPS}/owner`, 'admin');
  await until(
    async () => (await call('GET', `${CONFIG_MAPS}/owned`, 'admin')).code === 404,
    'what it owned is collected',
    60_000,
  );
});

test('the end leaves no process and no file', async () => {
  const own = join(mkdtempSync(join(tmpdir(), 'api-')), 'server');
  const second = await ApiServer.start({ folder: own });
  const running = () => findProcesses(({ command }) => command.includes(own)).length;
  assert.equal(running(), 2);
  await second[Symbol.asyncDispose]();
  assert.equal(running(), 0);
  assert.equal(existsSync(own), false);
  rmSync(join(own, '..'), { recursive: true });
});

test('a folder with something in it is refused', async () => {
  await assert.rejects(ApiServer.start({ folder }), /is not empty; name a new folder/);
});

test('servers end with a test process that is killed', async () => {
  const own = mkdtempSync(join(tmpdir(), 'api-'));
  const code = `
    import { ApiServer } from ${JSON.stringify(import.meta.resolve('../../tools/cluster/api_server.ts'))};
    await ApiServer.start({ folder: ${JSON.stringify(own)} });
    console.log('up');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const running = () =>
    findProcesses(({ command }) => command.includes(own) && !command.includes('console.log')).length;
  await once(child.stdout, 'data');
  assert.equal(running(), 2);
  child.kill('SIGKILL');
  await until(() => Promise.resolve(running() === 0), 'etcd and the API server have ended', 10_000);
  rmSync(own, { recursive: true, force: true });
});
