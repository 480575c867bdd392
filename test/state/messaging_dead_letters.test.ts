import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { ServiceBusClient } from '@azure/service-bus';
import { outbox } from '../../cli/outbox.ts';
import { systemClock } from '../../platform/clock.ts';
import { startCosmosSimulator } from '../../simulators/cosmos/server.ts';
import { startEntra } from '../../simulators/entra/server.ts';
import { startServiceBus } from '../../simulators/servicebus/server.ts';
import { callKeys } from '../../state/calls/keys.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { DeadLetters } from '../../state/messaging/dead_letters.ts';
import { messageIdOf } from '../../state/messaging/record_message.ts';
import { openServiceBus } from '../../state/messaging/service_bus_client.ts';
import { OutboxStream } from '../../state/outbox/stream.ts';
import { startRedis } from '../support/redis.ts';
import { type MessagingBench, QUEUE, startMessaging, turn, turns } from './messaging_bench.ts';
import { newCallId, newClient } from './support.ts';
import { makeTls } from './tls.ts';

/** Records that were refused while the archive was not as it should be. */
async function buried(bench: MessagingBench, call: string, count: number) {
  const refusing = {
    readCall: (id: string) => bench.cosmosArchive.readCall(id),
    recordIds: (id: string) => bench.cosmosArchive.recordIds(id),
    write: async () => ({ kind: 'refused', reason: 'the container is another one' }) as const,
  };
  const consumer = bench.consumer({ archive: refusing });
  await bench.archive.writeAll(turns(call, count));
  const before = bench.dead.messages.length;
  await bench.until(() => bench.dead.messages.length === before + count);
  await consumer.stop();
}

test('a dead letter is replayed to its call and arrives, though the broker still knows its first id', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const [call, other] = [newCallId(), newCallId()];
  await buried(bench, call, 3);
  await buried(bench, other, 1);
  bench.consumer();
  const { replayed, left } = await bench.deadLetters.replay({ callConnectionId: call });
  assert.deepEqual(
    replayed.map(({ recordId }) => recordId),
    turns(call, 3).map(({ id }) => id),
  );
  assert.equal(left, 0);
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(
    bench.stored(call).sort(),
    turns(call, 3).map(({ id }) => id),
  );
  assert.deepEqual(
    (await bench.deadLetters.list()).map(({ callConnectionId }) => callConnectionId),
    [other],
  );
  // What was passed over on the way is free again, for the next replay.
  assert.ok(bench.dead.messages.every(({ lock }) => lock === undefined));
});

test('one record of a call is replayed alone', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  await buried(bench, call, 3);
  const { replayed } = await bench.deadLetters.replay({ callConnectionId: call, recordId: 'turn-000002' });
  assert.equal(replayed.length, 1);
  assert.deepEqual(
    bench.queue.messages.map(({ message }) => message.application_properties?.recordId),
    ['turn-000002'],
  );
  const properties = bench.queue.messages[0]?.message.application_properties;
  assert.deepEqual(Object.keys(properties ?? {}).sort(), ['kind', 'recordId', 'schemaVersion']);
  assert.equal(bench.dead.messages.length, 2);
});

test('a replay that fails half-way loses nothing and repeats without harm', async (t) => {
  const bench = await startMessaging({ lockMs: 500 });
  let client: ServiceBusClient | undefined;
  t.after(async () => {
    await client?.close();
    await bench.stop();
  });
  const call = newCallId();
  await buried(bench, call, 2);
  // The broker takes the copy, then goes away before the letter can be taken off.
  let cut = false;
  const stopWatching = bench.queue.whenSessions(() => {
    if (cut || bench.queue.messages.length === 0) return;
    cut = true;
    bench.bus.faults.down = true;
    bench.bus.dropConnections();
  });
  await assert.rejects(bench.deadLetters.replay(), { code: 'ERR_MESSAGING_UNAVAILABLE' });
  stopWatching();
  bench.bus.faults.down = false;
  assert.equal(bench.dead.messages.length, 2);
  assert.equal(bench.queue.messages.length, 1);
  await bench.until(() => bench.dead.messages.every(({ lock }) => lock === undefined));
  client = openServiceBus({ kind: 'connectionString', connectionString: bench.bus.connectionString });
  const again = await new DeadLetters({ client, queue: QUEUE, view: bench.view, clock: systemClock }).replay();
  assert.equal(again.replayed.length, 2);
  assert.equal(bench.dead.messages.length, 0);
  assert.equal(bench.queue.messages.length, 2);
  bench.consumer();
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(bench.stored(call).sort(), ['turn-000001', 'turn-000002']);
});

test('message ids: equal for the same content, never beyond what a replay may add', () => {
  const long = 'c'.repeat(128);
  assert.equal(messageIdOf(turn('call', 1)), messageIdOf(turn('call', 1)));
  assert.notEqual(messageIdOf(turn('call', 1)), messageIdOf(turn('call', 1, 'another')));
  assert.notEqual(messageIdOf(turn('call', 1)), messageIdOf(turn('call', 2)));
  for (const call of ['call', long]) assert.ok(messageIdOf(turn(call, 1)).length <= 104);
  assert.notEqual(messageIdOf(turn(long, 1)), messageIdOf(turn(long, 2)));
});

/** What a worker's Pod sees: Redis, Cosmos DB and Service Bus with an Entra identity, and its pool document. */
async function fleet(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'rtvoice-outbox-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const tls = await makeTls();
  const trusted = getCACertificates('default');
  setDefaultCACertificates([...trusted, tls.caPem]);
  t.after(() => setDefaultCACertificates(trusted));
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const entra = await startEntra({ tls, dir });
  t.after(() => entra.stop());
  const verifyToken = (token: string, audiences: readonly string[]) => entra.verify(token, audiences);
  const cosmos = await startCosmosSimulator({
    tls,
    masterKey: Buffer.from('k').toString('base64'),
    verifyToken: (token) => entra.verify(token, [`${cosmos.endpoint}`, cosmos.endpoint.replace(/\/$/, '')]),
  });
  t.after(() => cosmos.stop());
  const bus = await startServiceBus({ tls, queues: { [QUEUE]: {} }, verifyToken });
  t.after(() => bus.stop());
  const poolFile = join(dir, 'pool.yaml');
  await writeFile(
    poolFile,
    'apiVersion: rtvoice.dev/v1alpha1\nkind: VoiceWorkerPool\nmetadata:\n  name: demo\nspec:\n  environment: dev\n',
  );
  const env = {
    ...entra.env,
    RTVOICE_POOL_FILE: poolFile,
    RTVOICE_REDIS_URL: redis.url,
    RTVOICE_COSMOS_ENDPOINT: cosmos.endpoint,
    RTVOICE_RECORD_TRANSPORT: 'ServiceBus',
    RTVOICE_SERVICEBUS_NAMESPACE: bus.namespace,
    RTVOICE_SERVICEBUS_QUEUE: QUEUE,
  };
  const before = { ...process.env };
  Object.assign(process.env, entra.env);
  t.after(() => {
    process.env = before;
  });
  return { redis, bus, cosmos, env };
}

async function run(args: readonly string[], env: Record<string, string>) {
  let out = '';
  const write = (text: string) => {
    out += text;
  };
  const io = { out: write, err: write, colour: false };
  const code = await outbox(args, io, env);
  return { code, out };
}

test('rtvoice outbox lists and replays what Redis and the broker hold as refused, with an Entra identity over TLS', async (t) => {
  const { redis, bus, env } = await fleet(t);
  const client = newClient(redis, 'patient');
  t.after(() => client.close());
  await client.ready();
  const keys = new RedisKeyManager({ environment: 'dev' });
  const [call, other] = [newCallId(), newCallId()];
  assert.deepEqual(await run(['list'], env), { code: 0, out: 'no record was refused\n' });
  const text = JSON.stringify({ v: 1, alg: 'none', body: { seq: 1, role: 'caller', text: 'what was said', atMs: 1 } });
  const stream = new OutboxStream({ redis: client, keys: callKeys(keys), quarantineTtlMs: 60_000 });
  await client.command('XADD', callKeys(keys).outbox(call), '1-1', 'id', 'turn-000001', 'kind', 'turn', 'e', text);
  const [item] = await stream.read(call, 1);
  assert.ok(item);
  await stream.quarantine(call, item, 'the document is not valid (400)');
  bus.queue(`${QUEUE}/$DeadLetterQueue`).enqueue({
    ...{ group_id: other, message_id: 'm', content_type: 'application/json', body: Buffer.from(text) },
    application_properties: { kind: 'turn', recordId: 'turn-000007', schemaVersion: 1, DeadLetterReason: 'too large' },
  });
  const listed = await run(['list'], env);
  assert.equal(listed.code, 1);
  assert.match(listed.out, new RegExp(`quarantine +${call} +turn-000001 +turn +the document is not valid \\(400\\)`));
  assert.match(listed.out, new RegExp(`dead letters +${other} +turn-000007 +turn +too large`));
  assert.ok(!listed.out.includes('what was said'));
  assert.equal((await run(['replay'], env)).code, 2);
  assert.equal((await run(['replay', '--record', 'turn-000001'], env)).code, 2);
  const one = await run(['replay', '--call', call, '-o', 'json'], env);
  assert.deepEqual([one.code, JSON.parse(one.out).replayed.length, JSON.parse(one.out).left], [0, 1, 0]);
  assert.equal(bus.queue(QUEUE).messages[0]?.message.group_id, call);
  assert.deepEqual(await run(['replay', '--all'], env), {
    code: 0,
    out: '1 replayed, 0 refused again, 0 not reached\n',
  });
  assert.equal(bus.queue(QUEUE).messages.length, 2);
  assert.deepEqual(await run(['list'], env), { code: 0, out: 'no record was refused\n' });
});
