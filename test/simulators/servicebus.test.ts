import '../state/messaging_timers.ts';
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { EventHubConsumerClient, EventHubProducerClient } from '@azure/event-hubs';
import { ClientAssertionCredential } from '@azure/identity';
import { ServiceBusClient, type ServiceBusMessage } from '@azure/service-bus';
import { startEntra } from '../../simulators/entra/server.ts';
import {
  type ServiceBusOptions,
  type ServiceBusSimulator,
  startServiceBus,
} from '../../simulators/servicebus/server.ts';
import { until } from '../state/messaging_bench.ts';
import { makeTls } from '../state/tls.ts';

const RETRY = { maxRetries: 0, timeoutInMs: 1_000 };
const message = (sessionId: string, messageId: string): ServiceBusMessage => ({
  body: { messageId },
  sessionId,
  messageId,
});

const cleanups = new WeakMap<TestContext, (() => unknown)[]>();

/** As `t.after`, last in first out: clients are closed while their broker still answers. */
function after(t: TestContext, cleanup: () => unknown): void {
  const known = cleanups.get(t);
  if (known) return void known.push(cleanup);
  const own = [cleanup];
  cleanups.set(t, own);
  t.after(async () => {
    for (const each of own.reverse()) await each();
  });
}

async function start(t: TestContext, options: ServiceBusOptions = {}) {
  const bus = await startServiceBus({ queues: { records: {} }, ...options });
  const client = new ServiceBusClient(bus.connectionString, { retryOptions: RETRY });
  after(t, async () => {
    await client.close();
    await bus.stop();
  });
  return { bus, client, queue: bus.queue('records'), sender: client.createSender('records') };
}

const failure = (code: string) => ({ name: 'ServiceBusError', code });

async function trusting(t: TestContext) {
  const tls = await makeTls();
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, tls.caPem]);
  after(t, () => setDefaultCACertificates(before));
  return tls;
}

test('over TLS: a signature opens the entity, a wrong key does not, and neither does a key for another entity', async (t) => {
  const { bus, sender } = await start(t, { tls: await trusting(t) });
  await sender.sendMessages(message('s', '1'));
  const wrong = bus.connectionString.replace(/SharedAccessKey=[^;]+/, 'SharedAccessKey=another-key-of-some-length');
  const stranger = new ServiceBusClient(wrong, { retryOptions: RETRY });
  after(t, () => stranger.close());
  await assert.rejects(stranger.createSender('records').sendMessages(message('s', '2')), failure('UnauthorizedAccess'));
  assert.equal(bus.queue('records').messages.length, 1);
});

test('an Entra token of the tenant opens the namespace; one for another audience does not', async (t) => {
  const tls = await trusting(t);
  const dir = await mkdtemp(join(tmpdir(), 'rtvoice-bus-'));
  after(t, () => rm(dir, { recursive: true, force: true }));
  const entra = await startEntra({ tls, dir });
  after(t, () => entra.stop());
  let accept = true;
  const verifyToken = (token: string, audiences: readonly string[]) =>
    entra.verify(token, accept ? audiences : ['https://vault.azure.net']);
  const { bus, queue } = await start(t, { tls, verifyToken });
  const {
    AZURE_AUTHORITY_HOST: authorityHost = '',
    AZURE_TENANT_ID = '',
    AZURE_CLIENT_ID = '',
    AZURE_FEDERATED_TOKEN_FILE = '',
  } = entra.env;
  const assertion = () => readFile(AZURE_FEDERATED_TOKEN_FILE, 'utf8');
  const credential = new ClientAssertionCredential(AZURE_TENANT_ID, AZURE_CLIENT_ID, assertion, {
    authorityHost,
    disableInstanceDiscovery: true,
  });
  for (accept of [true, false]) {
    const client = new ServiceBusClient(bus.namespace, credential, { retryOptions: RETRY });
    after(t, () => client.close());
    const sending = client.createSender('records').sendMessages(message('s', String(accept)));
    if (accept) await sending;
    else await assert.rejects(sending, failure('UnauthorizedAccess'));
  }
  assert.equal(queue.messages.length, 1);
});

test('sessions: in order, one receiver each, the next free one is waited for', async (t) => {
  const { client, sender } = await start(t);
  const waiting = client.acceptNextSession('records');
  await sender.sendMessages(['1', '2', '3'].map((id) => message('a', id)));
  const a = await waiting;
  assert.equal(a.sessionId, 'a');
  await assert.rejects(client.acceptSession('records', 'a'), failure('SessionCannotBeLocked'));
  await assert.rejects(client.acceptNextSession('records'), failure('ServiceTimeout'));
  const received = await a.receiveMessages(3);
  assert.deepEqual(
    received.map(({ messageId, body }) => [messageId, body.messageId]),
    [
      ['1', '1'],
      ['2', '2'],
      ['3', '3'],
    ],
  );
  await assert.rejects(client.createReceiver('records').receiveMessages(1, { maxWaitTimeInMs: 100 }));
  await a.close();
  const again = await client.acceptNextSession('records');
  assert.deepEqual(
    (await again.receiveMessages(3)).map(({ deliveryCount }) => deliveryCount),
    [0, 0, 0],
  );
});

test('settlements: complete, abandon (counted), defer and take again, dead letter with its reason, too many deliveries', async (t) => {
  const { client, queue, sender } = await start(t, { queues: { records: { maxDeliveryCount: 2 } } });
  await sender.sendMessages(['1', '2', '3', '4'].map((id) => message('a', id)));
  const session = await client.acceptSession('records', 'a');
  const [one, two, three, four] = await session.receiveMessages(4);
  assert.ok(one && two && three && four);
  await session.completeMessage(one);
  await session.deferMessage(two);
  await session.deadLetterMessage(three, { deadLetterReason: 'bad', deadLetterErrorDescription: 'for good' });
  await session.abandonMessage(four);
  const [again] = await session.receiveMessages(1);
  assert.deepEqual([again?.messageId, again?.deliveryCount], ['4', 1]);
  assert.ok(again && two.sequenceNumber);
  await session.abandonMessage(again);
  const [deferred] = await session.receiveDeferredMessages(two.sequenceNumber);
  assert.ok(deferred);
  await session.completeMessage(deferred);
  assert.equal(queue.messages.length, 0);
  const dead = client.createReceiver('records', { subQueueType: 'deadLetter' });
  const letters = await dead.receiveMessages(2);
  assert.deepEqual(
    letters.map(({ messageId, sessionId, deadLetterReason }) => [messageId, sessionId, deadLetterReason]),
    [
      ['3', 'a', 'bad'],
      ['4', 'a', 'MaxDeliveryCountExceeded'],
    ],
  );
  await Promise.all(letters.map((letter) => dead.completeMessage(letter)));
});

test('the lock of a session ends: the receiver is told, settling fails, and the delivery counts', async (t) => {
  const { client, queue, sender } = await start(t, { queues: { records: { lockMs: 500 } } });
  await sender.sendMessages(message('a', '1'));
  const session = await client.acceptSession('records', 'a', { maxAutoLockRenewalDurationInMs: 0 });
  const [held] = await session.receiveMessages(1);
  assert.ok(held);
  await session.renewSessionLock();
  await until([queue], () => !queue.sessions.isLocked('a'));
  // The answer to this comes after the news that the old session is over.
  const next = await client.acceptNextSession('records');
  assert.equal(session.isClosed, true);
  await assert.rejects(session.completeMessage(held));
  assert.equal((await next.receiveMessages(1))[0]?.deliveryCount, 1);
});

test('duplicates are dropped within the window and taken after it; batches and scheduled messages too', async (t) => {
  const { client, queue, sender } = await start(t, { queues: { records: { duplicateWindowMs: 300 } } });
  const batch = await sender.createMessageBatch();
  for (const id of ['1', '2', '1']) assert.ok(batch.tryAddMessage(message('a', id)));
  await sender.sendMessages(batch);
  await sender.sendMessages(message('a', '2'));
  assert.equal(queue.messages.length, 2);
  const due = new Date(Date.now() + 400);
  const [number] = await sender.scheduleMessages(message('b', '9'), due);
  const [cancelled] = await sender.scheduleMessages(message('b', '8'), due);
  assert.ok(number && cancelled);
  await sender.cancelScheduledMessages(cancelled);
  const session = await client.acceptNextSession('records');
  assert.equal(session.sessionId, 'a');
  const scheduled = await client.acceptNextSession('records');
  assert.equal(scheduled.sessionId, 'b');
  assert.ok(Date.now() >= due.getTime());
  await sender.sendMessages(message('a', '2'));
  assert.equal(queue.messages.filter((each) => each.message.message_id === '2').length, 2);
});

test('limits and faults have the codes of the service', async (t) => {
  const { bus, client, queue, sender } = await start(t, { queues: { records: { maxMessageBytes: 10_000 } } });
  assert.equal((await sender.createMessageBatch()).maxSizeInBytes, 10_000);
  const large = { ...message('a', '1'), body: 'x'.repeat(10_000) };
  await assert.rejects(sender.sendMessages(large), failure('MessageSizeExceeded'));
  bus.faults.throttle = 1;
  await assert.rejects(sender.sendMessages(message('a', '1')), failure('ServiceBusy'));
  await assert.rejects(
    client.createSender('nowhere').sendMessages(message('a', '1')),
    failure('MessagingEntityNotFound'),
  );
  bus.faults.lostSettlements = 1;
  await assert.rejects(sender.sendMessages(message('a', '7')));
  assert.ok(queue.messages.some((each) => each.message.message_id === '7'));
  bus.faults.down = true;
  bus.dropConnections();
  await assert.rejects(sender.sendMessages(message('a', '3')));
  bus.faults.down = false;
  await sender.sendMessages(message('a', '3'));
  assert.ok(bus.connections >= 2);
});

test('peek sees everything and takes nothing; session state stays with the session', async (t) => {
  const { client, sender } = await start(t);
  await sender.sendMessages([message('a', '1'), message('b', '2')]);
  const session = await client.acceptSession('records', 'a');
  await session.setSessionState({ step: 3 });
  assert.deepEqual(await session.getSessionState(), { step: 3 });
  assert.deepEqual(
    (await session.peekMessages(5)).map(({ messageId }) => messageId),
    ['1'],
  );
  const all = await client.createReceiver('records').peekMessages(5);
  assert.ok(all.length >= 1);
  assert.equal((await session.receiveMessages(1)).length, 1);
});

test('event hubs: partitions, a key keeps to one, a reader sees the log from where it asks', async (t) => {
  const { bus } = await start(t, { hubs: { calls: { partitions: 2 } } });
  const producer = new EventHubProducerClient(bus.connectionString, 'calls', { retryOptions: RETRY });
  after(t, () => producer.close());
  assert.deepEqual(await producer.getPartitionIds(), ['0', '1']);
  for (const key of ['a', 'b', 'c', 'd']) {
    const batch = await producer.createBatch({ partitionKey: key });
    for (const n of [1, 2]) assert.ok(batch.tryAdd({ body: `${key}${n}` }));
    await producer.sendBatch(batch);
  }
  const properties = await producer.getPartitionProperties('0');
  assert.equal(properties.isEmpty, false);
  assert.equal((await readAll(t, bus, '0')) + (await readAll(t, bus, '1')), 8);
});

async function readAll(t: TestContext, bus: ServiceBusSimulator, partition: string): Promise<number> {
  const expected = bus.hub('calls').partition(partition)?.length ?? 0;
  const consumer = new EventHubConsumerClient('$Default', bus.connectionString, 'calls', { retryOptions: RETRY });
  after(t, () => consumer.close());
  const seen: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    const done = () => {
      if (seen.length >= expected) resolve();
    };
    consumer.subscribe(
      partition,
      {
        processEvents: async (events) => {
          seen.push(...events.map(({ body, partitionKey }) => `${partitionKey}:${body}`));
          done();
        },
        processError: async (error) => reject(error),
      },
      { startPosition: { offset: '-1' } as never, maxBatchSize: 10, maxWaitTimeInSeconds: 1 },
    );
    done();
  });
  assert.deepEqual(
    new Set(seen.map((each) => String(each).charAt(0) === String(each).charAt(2))),
    new Set(expected ? [true] : []),
  );
  return seen.length;
}
