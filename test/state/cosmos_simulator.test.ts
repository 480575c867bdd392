import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type Container, CosmosClient } from '@azure/cosmos';
import {
  type CosmosSimulator,
  type CosmosSimulatorOptions,
  startCosmosSimulator,
} from '../../simulators/cosmos/server.ts';
import { makeTls, type TestTls } from './tls.ts';

const KEY = Buffer.from('a master key of the simulator').toString('base64');
let tls: TestTls;
let agent: Agent;
let simulator: CosmosSimulator;
let client: CosmosClient;
let container: Container;
let nowMs = Date.now();

before(async () => {
  tls = await makeTls();
  agent = new Agent({ ca: tls.caPem, keepAlive: true });
  simulator = await start({ verifyToken: (token) => token === 'good' });
  client = connect(simulator, { key: KEY });
  container = await newContainer(client);
});
after(async () => {
  client.dispose();
  await simulator.stop();
  agent.destroy();
});

function start(more: Partial<CosmosSimulatorOptions> = {}): Promise<CosmosSimulator> {
  return startCosmosSimulator({ tls, masterKey: KEY, nowMs: () => nowMs, ...more });
}

function connect(to: CosmosSimulator, credential: { key: string } | { token: string }): CosmosClient {
  const token =
    'token' in credential ? { token: credential.token, expiresOnTimestamp: Date.now() + 3_600_000 } : undefined;
  return new CosmosClient({
    endpoint: to.endpoint,
    ...('key' in credential ? credential : { aadCredentials: { getToken: async () => token ?? null } }),
    agent,
    connectionPolicy: {
      requestTimeout: 3_000,
      retryOptions: { maxRetryAttemptCount: 3, fixedRetryIntervalInMilliseconds: 0, maxWaitTimeInSeconds: 5 },
    },
  });
}

async function newContainer(on: CosmosClient, more: { defaultTtl?: number } = {}): Promise<Container> {
  const { database } = await on.databases.createIfNotExists({ id: 'db' });
  const definition = { id: `c${Math.random().toString(36).slice(2)}`, partitionKey: { paths: ['/pk'] }, ...more };
  return (await database.containers.create(definition)).container;
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error) => error.code,
  );

test('create, read, replace, upsert, patch and delete answer as the service does', async () => {
  const created = await container.items.create({ id: 'a', pk: 'p', n: 1 });
  assert.equal(created.statusCode, 201);
  assert.equal(await codeOf(container.items.create({ id: 'a', pk: 'p' })), 409);
  assert.equal((await container.items.upsert({ id: 'a', pk: 'p', n: 2 })).statusCode, 200);
  const item = container.item('a', 'p');
  const { resource, etag } = await item.read();
  assert.equal(resource?.n, 2);
  assert.equal(
    (await item.replace({ id: 'a', pk: 'p', n: 3 }, { accessCondition: { type: 'IfMatch', condition: etag } })).resource
      ?.n,
    3,
  );
  assert.equal(
    await codeOf(item.replace({ id: 'a', pk: 'p', n: 4 }, { accessCondition: { type: 'IfMatch', condition: etag } })),
    412,
  );
  await item.patch([
    { op: 'incr', path: '/n', value: 5 },
    { op: 'set', path: '/tag', value: 'x' },
  ]);
  assert.equal(
    await codeOf(item.patch({ condition: 'from c where c.n = 1', operations: [{ op: 'set', path: '/n', value: 0 }] })),
    412,
  );
  assert.equal(
    await codeOf(
      item.patch([
        { op: 'set', path: '/n', value: 0 },
        { op: 'remove', path: '/none' },
      ]),
    ),
    400,
  );
  const patched = (await item.read()).resource;
  assert.deepEqual([patched?.n, patched?.tag], [8, 'x']);
  assert.equal((await item.delete()).statusCode, 204);
  assert.equal((await item.read()).statusCode, 404);
  assert.equal(await codeOf(item.delete()), 404);
});

test('documents that break the rules are refused', async () => {
  assert.equal(await codeOf(container.items.create({ id: 'x'.repeat(256), pk: 'p' })), 400);
  assert.equal(await codeOf(container.items.create({ id: 'big', pk: 'p', text: 'x'.repeat(2_200_000) })), 413);
  assert.equal(await codeOf(container.items.create({ id: 'other', pk: 'p' }, {})), 'no error');
  assert.equal(await codeOf(container.item('other', 'p').replace({ id: 'other', pk: 'q' })), 400);
});

test('queries stay in their partition, filter, sort and page', async () => {
  const queried = await newContainer(client);
  for (const pk of ['one', 'two']) for (const n of [3, 1, 2]) await queried.items.create({ id: `${pk}-${n}`, pk, n });
  const spec = { query: 'SELECT * FROM c WHERE c.n >= @n ORDER BY c.n DESC', parameters: [{ name: '@n', value: 2 }] };
  const sorted = await queried.items.query(spec, { partitionKey: 'one' }).fetchAll();
  assert.deepEqual(
    sorted.resources.map(({ id }) => id),
    ['one-3', 'one-2'],
  );
  const pages = queried.items.query('SELECT c.id FROM c WHERE STARTSWITH(c.id, "two") ORDER BY c.id', {
    partitionKey: 'two',
    maxItemCount: 2,
  });
  const first = await pages.fetchNext();
  assert.deepEqual(first.resources, [{ id: 'two-1' }, { id: 'two-2' }]);
  assert.ok(first.continuationToken);
  assert.deepEqual((await pages.fetchNext()).resources, [{ id: 'two-3' }]);
  assert.equal(
    (await queried.items.query('SELECT VALUE COUNT(1) FROM c', { partitionKey: 'one' }).fetchAll()).resources[0],
    3,
  );
  assert.equal((await queried.items.readAll({ partitionKey: 'one' }).fetchAll()).resources.length, 3);
  assert.equal(
    (await queried.items.query('SELECT c.id FROM c WHERE c.pk IN ("one", "two") AND NOT c.n = 1').fetchAll()).resources
      .length,
    4,
  );
  for (const query of ['SELECT c.n FROM d', 'SELECT * FROM c WHERE c.n = @x', 'nonsense']) {
    assert.equal(await codeOf(queried.items.query(query, { partitionKey: 'one' }).fetchAll()), 400, query);
  }
});

test('a batch is all or nothing', async () => {
  const batched = await newContainer(client);
  await batched.items.create({ id: 'taken', pk: 'p' });
  const create = (id: string) => ({ operationType: 'Create' as const, resourceBody: { id, pk: 'p' } });
  const failed = await batched.items.batch([create('new'), create('taken')], 'p');
  assert.deepEqual(
    failed.result?.map(({ statusCode }) => statusCode),
    [424, 409],
  );
  assert.equal((await batched.items.readAll().fetchAll()).resources.length, 1);
  const done = await batched.items.batch([create('new'), { operationType: 'Delete', id: 'taken' }], 'p');
  assert.deepEqual(
    done.result?.map(({ statusCode }) => statusCode),
    [201, 204],
  );
  assert.deepEqual(
    (await batched.items.readAll().fetchAll()).resources.map(({ id }) => id),
    ['new'],
  );
});

test('documents expire by their own ttl or the default of the container', async () => {
  const expiring = await newContainer(client, { defaultTtl: 100 });
  await expiring.items.create({ id: 'default', pk: 'p' });
  await expiring.items.create({ id: 'short', pk: 'p', ttl: 10 });
  await expiring.items.create({ id: 'never', pk: 'p', ttl: -1 });
  const ids = async () => (await expiring.items.readAll().fetchAll()).resources.map(({ id }) => id);
  nowMs += 11_000;
  assert.deepEqual(await ids(), ['default', 'never']);
  nowMs += 100_000;
  assert.deepEqual(await ids(), ['never']);
  nowMs -= 111_000;
});

test('a wrong key, a foreign token and no credential are refused; a good token works but creates no containers', async () => {
  const wrong = connect(simulator, { key: Buffer.from('another').toString('base64') });
  assert.equal(await codeOf(wrong.database('db').container(container.id).items.create({ id: 'w', pk: 'p' })), 401);
  const foreign = connect(simulator, { token: 'bad' });
  assert.equal(await codeOf(foreign.database('db').container(container.id).items.create({ id: 'w', pk: 'p' })), 401);
  const entra = connect(simulator, { token: 'good' });
  assert.equal(
    (await entra.database('db').container(container.id).items.create({ id: 'entra', pk: 'p' })).statusCode,
    201,
  );
  assert.equal(
    await codeOf(entra.database('db').containers.create({ id: 'x', partitionKey: { paths: ['/pk'] } })),
    403,
  );
  for (const each of [wrong, foreign, entra]) each.dispose();
});

test('throttling is retried by the SDK, and told when it gives up', async () => {
  simulator.faults.throttle = 2;
  const created = await container.items.create({ id: 'throttled', pk: 'p' });
  assert.equal(created.headers['x-ms-throttle-retry-count'], 2);
  simulator.faults.throttle = 10;
  assert.equal(await codeOf(container.items.create({ id: 'given-up', pk: 'p' })), 429);
  simulator.faults.throttle = 0;
});

test('a lost reply leaves the write applied; a cut connection does not', async () => {
  simulator.faults.replyLost = 1;
  assert.notEqual(await codeOf(container.items.create({ id: 'lost', pk: 'p' })), 'no error');
  assert.equal((await container.item('lost', 'p').read()).resource?.id, 'lost');
  simulator.faults.down = true;
  assert.notEqual(await codeOf(container.items.create({ id: 'down', pk: 'p' })), 'no error');
  simulator.faults.down = false;
  assert.equal((await container.item('down', 'p').read()).statusCode, 404);
});

test('a frozen service takes requests in and answers when it is thawed', async () => {
  const stored = () => simulator.documents('db', container.id).some(({ id }) => id === 'frozen');
  const taken = () => simulator.requests.get('POST docs') ?? 0;
  const before = taken();
  simulator.faults.frozen = true;
  const writing = container.items.create({ id: 'frozen', pk: 'p' });
  while (taken() === before) await setImmediate();
  // Many more turns than an unfrozen service needs to store it.
  for (let turn = 0; turn < 100; turn++) await setImmediate();
  assert.equal(stored(), false);
  simulator.faults.frozen = false;
  assert.equal((await writing).statusCode, 201);
  assert.equal(stored(), true);
});

test('with a data file documents survive a restart', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-cosmos-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const dataFile = join(directory, 'cosmos.jsonl');
  const provision = { kept: [{ id: 'things', partitionKey: { paths: ['/pk'] } }] };
  const first = await start({ dataFile, provision });
  const writer = connect(first, { key: KEY });
  const things = writer.database('kept').container('things');
  await things.items.create({ id: 'a', pk: 'p', n: 1 });
  await things.items.create({ id: 'b', pk: 'p' });
  await things.items.upsert({ id: 'a', pk: 'p', n: 2 });
  await things.item('b', 'p').delete();
  writer.dispose();
  await first.stop();
  // Each start rewrites the file, so the second restart reads what the first one wrote.
  for (let restart = 0; restart < 2; restart++) {
    const again = await start({ dataFile, provision });
    const found = again.documents('kept', 'things').map(({ id, n }) => [id, n]);
    await again.stop();
    assert.deepEqual(found, [['a', 2]]);
  }
});
