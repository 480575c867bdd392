import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { KubeClient } from '../../controller/kube/client.ts';
import { type KubeEndpoint, kubeEndpoint, podEndpoint } from '../../controller/kube/credentials.ts';
import { Informer } from '../../controller/kube/informer.ts';
import { createKubeMetrics } from '../../controller/kube/metrics.ts';
import type { ConfigMap } from '../../controller/kube/objects.ts';
import { CONFIG_MAPS } from '../../controller/kube/resources.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { seededRandom } from '../../platform/random.ts';
import { createPki, type Pki } from '../../tools/cluster/pki.ts';
import { captureLog, plainEndpoint, ScriptedApi, startRig } from '../support/scripted_api.ts';

/** Tokens and certificates are renewed under a running controller, and files of them vanish for a moment. */

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kube-credentials-'));
  writeFileSync(join(folder, 'token'), 'first\n');
  writeFileSync(join(folder, 'ca.crt'), 'none');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ENV = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '1' };
const isCredentials = (detail: RegExp) => (error: unknown) => {
  const { code, message } = error as { code?: string; message: string };
  assert.equal(code, 'ERR_KUBE_CREDENTIALS');
  assert.match(message, detail);
  return true;
};

test('a Pod without a service account is told so, and what to do', async () => {
  await assert.rejects(kubeEndpoint(join(folder, 'none')), isCredentials(/runs in no Pod/));
  assert.throws(() => podEndpoint(join(folder, 'none'), ENV), isCredentials(/runs in no Pod/));
  assert.throws(() => podEndpoint(folder, { KUBERNETES_SERVICE_HOST: 'x' }), isCredentials(/runs in no Pod/));
  assert.equal(podEndpoint(folder, ENV).url, 'https://127.0.0.1:1');
  assert.equal(podEndpoint(folder, { ...ENV, KUBERNETES_SERVICE_HOST: '::1' }).url, 'https://[::1]:1');
});

test('the token is trimmed, read again every minute, and at once when it was refused', async () => {
  const clock = new ManualClock();
  const endpoint = podEndpoint(folder, ENV, clock);
  assert.equal(await endpoint.token(), 'first');
  writeFileSync(join(folder, 'token'), ' second ');
  clock.advance(59_999);
  assert.equal(await endpoint.token(), 'first');
  clock.advance(1);
  assert.equal(await endpoint.token(), 'second');
  writeFileSync(join(folder, 'token'), 'third');
  endpoint.refused?.();
  assert.equal(await endpoint.token(), 'third');
});

test('a token that cannot be read is a fault at first, and later the one before it goes on', async () => {
  const clock = new ManualClock();
  const endpoint = podEndpoint(folder, ENV, clock);
  writeFileSync(join(folder, 'token'), '\n');
  await assert.rejects(endpoint.token(), isCredentials(/token is empty/));
  writeFileSync(join(folder, 'token'), 'first');
  assert.equal(await endpoint.token(), 'first');
  rmSync(join(folder, 'token'));
  clock.advance(60_000);
  assert.equal(await endpoint.token(), 'first');
});

/** The token of the folder, over a connection without TLS. */
async function rigOfFolder() {
  const clock = new ManualClock();
  const rig = await startRig((url) => ({ ...plainEndpoint(url), ...tokenOf(podEndpoint(folder, ENV, clock)) }));
  const { client, log } = rig;
  const informer = new Informer<ConfigMap>({
    ...{ client, clock: rig.clock, log, random: seededRandom(1), resource: CONFIG_MAPS },
  });
  return { rig, informer };
}

const tokenOf = (endpoint: KubeEndpoint): Pick<KubeEndpoint, 'token' | 'refused'> => ({
  token: () => endpoint.token(),
  refused: () => endpoint.refused?.(),
});

test('a cache whose token cannot be read waits for it, and kills nobody', async () => {
  const { rig, informer } = await rigOfFolder();
  try {
    rmSync(join(folder, 'token'));
    informer.start();
    for (const _ of [1, 2]) {
      const line = await rig.warnings.next();
      assert.equal(line.msg, 'a watch broke; going on after a while');
      assert.match(JSON.stringify(line.err), /ENOENT/);
      rig.clock.advance(Number(line.waitMs) + 1);
    }
    await rig.warnings.next();
    writeFileSync(join(folder, 'token'), 'back');
    rig.clock.advance(60_000);
    const list = await rig.api.next();
    assert.equal(list.headers.authorization, 'Bearer back');
  } finally {
    await informer.stop();
    await rig[Symbol.asyncDispose]();
  }
});

test('a token refused at a reconnection is read anew for the next one', async () => {
  const { rig, informer } = await rigOfFolder();
  try {
    informer.start();
    (await rig.api.next()).page('10', []);
    writeFileSync(join(folder, 'token'), 'second');
    const watch = await rig.api.next();
    assert.equal(watch.headers.authorization, 'Bearer first');
    watch.refuse(401, 'Unauthorized');
    rig.clock.advance(Number((await rig.warnings.next()).waitMs) + 1);
    assert.equal((await rig.api.next()).headers.authorization, 'Bearer second');
  } finally {
    await informer.stop();
    await rig[Symbol.asyncDispose]();
  }
});

function tlsFiles({ folder: files }: Pki): { cert: string; key: string } {
  const read = (name: string) => readFileSync(join(files, name), 'utf8');
  return { cert: read('apiserver.crt'), key: read('apiserver.key') };
}

const newPki = (name: string) =>
  createPki(join(folder, name), { users: [{ name: 'admin', groups: [] }], apiNames: ['127.0.0.1'], nodes: [] });

test('a new authority is taken up without a restart, and an unknown one is never trusted', async () => {
  const [old, renewed] = [newPki('old'), newPki('renewed')];
  const account = join(folder, 'account');
  mkdirSync(account);
  writeFileSync(join(account, 'token'), 'x');
  writeFileSync(join(account, 'ca.crt'), readFileSync(old.caFile));
  const server = createServer(tlsFiles(old));
  const api = await ScriptedApi.start(server);
  const clock = new ManualClock();
  const env = { ...ENV, KUBERNETES_SERVICE_PORT: String(api.port) };
  const metrics = createKubeMetrics(createRegistry({ processMetrics: false }));
  const { log } = captureLog();
  const client = new KubeClient({ endpoint: podEndpoint(account, env, clock), clock, log, metrics });
  try {
    api.serve((exchange) => exchange.json(200, { metadata: { name: 'x' } }));
    const get = () => client.get(CONFIG_MAPS, { namespace: 'calls', name: 'x' });
    assert.ok(await get());
    server.setSecureContext(tlsFiles(renewed));
    server.closeAllConnections();
    await assert.rejects(get(), /ERR_KUBE_AWAY|does not answer/);
    writeFileSync(join(account, 'ca.crt'), readFileSync(renewed.caFile));
    utimesSync(join(account, 'ca.crt'), 1, 2);
    clock.advance(60_000);
    assert.ok(await get());
  } finally {
    await client.close();
    await api[Symbol.asyncDispose]();
  }
});

test('a kubeconfig gives address, authority and token', async () => {
  const pki = newPki('pki');
  const api = await ScriptedApi.start(createServer(tlsFiles(pki)));
  const clock = new ManualClock();
  const path = pki.kubeconfig('admin', `https://127.0.0.1:${api.port}`);
  const metrics = createKubeMetrics(createRegistry({ processMetrics: false }));
  const { log } = captureLog();
  const client = new KubeClient({ endpoint: await kubeEndpoint('', path, clock), clock, log, metrics });
  try {
    const got = client.get(CONFIG_MAPS, { namespace: 'calls', name: 'x' });
    const exchange = await api.next();
    assert.equal(exchange.headers.authorization, `Bearer ${pki.token('admin')}`);
    exchange.json(200, { metadata: { name: 'x' } });
    await got;
  } finally {
    await client.close();
    await api[Symbol.asyncDispose]();
  }
});

test('a kubeconfig that is none is told by its path', async () => {
  const path = join(folder, 'config');
  await assert.rejects(kubeEndpoint('', path), isCredentials(/config cannot be read/));
  writeFileSync(path, 'apiVersion: v1\nkind: Config\n');
  await assert.rejects(kubeEndpoint('', path), isCredentials(/names no current cluster/));
});
