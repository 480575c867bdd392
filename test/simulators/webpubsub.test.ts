import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { ClientAssertionCredential } from '@azure/identity';
import { WebPubSubServiceClient } from '@azure/web-pubsub';
import { WebSocket } from 'ws';
import { startEntra } from '../../simulators/entra/server.ts';
import { startWebPubSub } from '../../simulators/webpubsub/server.ts';
import { makeTls } from '../state/tls.ts';

async function start(t: TestContext) {
  const tls = await makeTls();
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, tls.caPem]);
  t.after(() => setDefaultCACertificates(before));
  const dir = await mkdtemp(join(tmpdir(), 'rtvoice-pubsub-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const entra = await startEntra({ tls, dir });
  t.after(() => entra.stop());
  const verifyToken = (token: string, audiences: readonly string[]) => entra.verify(token, audiences);
  const pubsub = await startWebPubSub({ tls, verifyToken });
  t.after(() => pubsub.stop());
  return { tls, entra, pubsub, client: new WebPubSubServiceClient(pubsub.connectionString, 'hub') };
}

/** A browser's side: frames in the order they came. */
function connect(t: TestContext, url: string, ca: string, protocol?: string) {
  const socket = new WebSocket(url, protocol ? [protocol] : [], { ca });
  const events = new EventEmitter();
  const frames: string[] = [];
  socket.on('message', (data) => {
    frames.push(String(data));
    events.emit('frame');
  });
  t.after(() => socket.terminate());
  const next = async (): Promise<string> => {
    while (frames.length === 0) await once(events, 'frame', { signal: AbortSignal.timeout(10_000) });
    return frames.shift() ?? '';
  };
  return { socket, next, nextJson: async () => JSON.parse(await next()) as Record<string, unknown> };
}

const JSON_PROTOCOL = 'json.webpubsub.azure.v1';

test('a client joins, publishes and leaves as far as its roles allow', async (t) => {
  const { tls, client, pubsub } = await start(t);
  const roles = ['webpubsub.joinLeaveGroup.a', 'webpubsub.sendToGroup.a'];
  const { url } = await client.getClientAccessToken({ userId: 'u', roles });
  const { socket, nextJson } = connect(t, url, tls.caPem, JSON_PROTOCOL);
  const hello = await nextJson();
  assert.deepEqual([hello.type, hello.event, hello.userId], ['system', 'connected', 'u']);
  const ask = async (frame: object) => {
    socket.send(JSON.stringify(frame));
    return nextJson();
  };
  assert.deepEqual(await ask({ type: 'joinGroup', group: 'a', ackId: 1 }), { type: 'ack', ackId: 1, success: true });
  assert.equal((await ask({ type: 'joinGroup', group: 'b', ackId: 2 })).success, false);
  assert.equal(pubsub.hub('hub').members('a'), 1);
  const own = await ask({ type: 'sendToGroup', group: 'a', dataType: 'json', data: { n: 1 } });
  assert.deepEqual([own.from, own.group, own.data], ['group', 'a', { n: 1 }]);
  await client.group('a').sendToAll({ n: 2 });
  assert.deepEqual((await nextJson()).data, { n: 2 });
  await client.sendToAll('to all', { contentType: 'text/plain' });
  assert.deepEqual(await nextJson(), { type: 'message', from: 'server', dataType: 'text', data: 'to all' });
  assert.equal((await ask({ type: 'leaveGroup', group: 'a', ackId: 3 })).success, true);
  assert.equal(pubsub.hub('hub').members('a'), 0);
});

test('without the subprotocol a client gets the data alone', async (t) => {
  const { tls, client } = await start(t);
  const { url } = await client.getClientAccessToken({ groups: ['a'] });
  const { socket, next } = connect(t, url, tls.caPem);
  await once(socket, 'open');
  await client.group('a').sendToAll({ n: 1 });
  assert.equal(await next(), '{"n":1}');
});

test('a wrong key, a token for another hub and none at all are refused', async (t) => {
  const { tls, client, pubsub } = await start(t);
  const wrong = new WebPubSubServiceClient(
    pubsub.connectionString.replace(/AccessKey=[^;]+/, 'AccessKey=another'),
    'hub',
  );
  await assert.rejects(wrong.sendToAll({ n: 1 }), { statusCode: 401 });
  const { token } = await client.getClientAccessToken();
  const address = pubsub.endpoint.replace('https', 'wss');
  for (const url of [`${address}/client/hubs/other?access_token=${token}`, `${address}/client/hubs/hub`]) {
    const { socket } = connect(t, url, tls.caPem, JSON_PROTOCOL);
    const [error] = (await once(socket, 'error')) as [Error];
    assert.match(error.message, /401/);
  }
});

test('with an Entra identity the service publishes, and has client tokens made', async (t) => {
  const { tls, entra, pubsub } = await start(t);
  const {
    AZURE_AUTHORITY_HOST = '',
    AZURE_TENANT_ID = '',
    AZURE_CLIENT_ID = '',
    AZURE_FEDERATED_TOKEN_FILE = '',
  } = entra.env;
  const assertion = () => readFile(AZURE_FEDERATED_TOKEN_FILE, 'utf8');
  const options = { authorityHost: AZURE_AUTHORITY_HOST, disableInstanceDiscovery: true };
  const credential = new ClientAssertionCredential(AZURE_TENANT_ID, AZURE_CLIENT_ID, assertion, options);
  const client = new WebPubSubServiceClient(pubsub.endpoint, credential, 'hub');
  const { url } = await client.getClientAccessToken({ groups: ['a'] });
  const { nextJson } = connect(t, url, tls.caPem, JSON_PROTOCOL);
  await nextJson();
  pubsub.faults.throttle = 1;
  await client.group('a').sendToAll({ n: 1 });
  assert.deepEqual((await nextJson()).data, { n: 1 });
});
