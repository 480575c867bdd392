import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../platform/clock.ts';
import { loadConfig } from '../../platform/config.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { seededRandom } from '../../platform/random.ts';
import { BrokerView } from '../../state/messaging/broker_view.ts';
import { openRecordTransport } from '../../state/messaging/record_transport.ts';
import { openServiceBus } from '../../state/messaging/service_bus_client.ts';
import { MESSAGING_SETTINGS } from '../../state/messaging/settings.ts';
import { metric, QUEUE, startMessaging, turn, turns } from './messaging_bench.ts';
import { newCallId } from './support.ts';

const idsOf = (records: readonly { id: string }[]) => records.map(({ id }) => id);

test('records of a call arrive in Cosmos DB in their order, each once, and nothing is left in the queue', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const [a, b] = [newCallId(), newCallId()];
  const written: string[] = [];
  const consumer = bench.consumer({
    archive: {
      ...readerOf(bench),
      write: (record) => {
        written.push(`${record.callConnectionId}/${record.id}`);
        return bench.cosmosArchive.write(record);
      },
    },
  });
  for (const call of [a, b]) {
    const outcomes = await bench.archive.writeAll(turns(call, 40));
    assert.deepEqual(new Set(outcomes.map(({ kind }) => kind)), new Set(['written']));
  }
  await bench.until(() => bench.queue.messages.length === 0);
  for (const call of [a, b]) {
    const expected = idsOf(turns(call, 40));
    assert.deepEqual(
      written.filter((name) => name.startsWith(call)),
      expected.map((id) => `${call}/${id}`),
    );
    assert.deepEqual(bench.stored(call).sort(), expected);
  }
  await consumer.stop();
  assert.equal(await consumer.metric('rtvoice_messaging_settled_total', 'completed'), 80);
  assert.equal(await metric(bench.registry, 'rtvoice_messaging_sent_total', 'ok'), 80);
});

test('a send that is repeated because its settlement was lost is in the queue once', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  bench.bus.faults.lostSettlements = 1;
  const outcome = await bench.archive.write(turn(call, 1));
  assert.equal(outcome.kind, 'written');
  assert.equal(bench.bus.faults.lostSettlements, 0);
  assert.equal((await bench.archive.write(turn(call, 1))).kind, 'written');
  assert.equal(bench.queue.messages.length, 1);
});

test('another record under the same id is no duplicate: both reach the archive', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  await bench.archive.write(turn(call, 1, 'what one owner heard'));
  await bench.archive.write(turn(call, 1, 'what the other heard'));
  bench.consumer();
  await bench.until(() => bench.queue.messages.length === 0);
  assert.equal(bench.stored(call).length, 2);
});

test('a record that the namespace does not take is refused with its reason, and the others go on', async (t) => {
  const bench = await startMessaging({ maxMessageBytes: 64 * 1024 });
  t.after(() => bench.stop());
  const call = newCallId();
  const outcomes = await bench.archive.writeAll([turn(call, 1), turn(call, 2, 'x'.repeat(70_000)), turn(call, 3)]);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['written', 'refused', 'written'],
  );
  assert.match(JSON.stringify(outcomes[1]), /larger than the namespace allows \(65536 bytes\)/);
  assert.equal(bench.queue.messages.length, 2);
});

test('more than one batch holds is sent in several, in order', async (t) => {
  const bench = await startMessaging({ maxMessageBytes: 64 * 1024 });
  t.after(() => bench.stop());
  const call = newCallId();
  const records = Array.from({ length: 30 }, (_, index) => turn(call, index + 1, 'y'.repeat(10_000)));
  const outcomes = await bench.archive.writeAll(records);
  assert.equal(outcomes.length, 30);
  assert.deepEqual(
    bench.queue.messages.map(({ message }) => message.application_properties?.recordId),
    idsOf(records),
  );
});

test('throttled, denied, missing and away are all `later`, each with its cause; nothing behind it is tried', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  bench.bus.faults.throttle = 2;
  const [outcome, ...more] = await bench.archive.writeAll(turns(call, 3));
  assert.deepEqual(more, []);
  assert.equal(outcome?.kind, 'later');
  assert.ok(outcome?.kind === 'later' && outcome.throttled && outcome.retryAfterMs === 10_000);
  assert.equal(bench.queue.messages.length, 0);
  bench.bus.faults.down = true;
  bench.bus.dropConnections();
  const away = await bench.archive.write(turn(call, 1));
  assert.ok(away.kind === 'later' && !away.throttled);
  assert.match(String(away.cause), /the message broker takes or gives nothing now/);
  bench.bus.faults.down = false;
  assert.equal((await bench.archive.write(turn(call, 1))).kind, 'written');
});

test('the broker detaches a send: it goes through all the same', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  bench.bus.faults.detachSends = 1;
  assert.equal((await bench.archive.write(turn(call, 1))).kind, 'written');
  assert.equal(bench.queue.messages.length, 1);
});

test('what is still on its way counts as there: no call looks lost while its records are in the queue', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  await bench.cosmosArchive.write(turn(call, 1));
  await bench.archive.writeAll([...turns(call, 2, 2), { ...turn(call, 4), id: 'summary', kind: 'summary' }]);
  await bench.archive.write(turn(newCallId(), 1));
  for (const look of [1, 2]) {
    const { turns: found, summary } = await bench.archive.readCall(call);
    assert.deepEqual(idsOf(found), ['turn-000001', 'turn-000002', 'turn-000003'], `look ${look}`);
    assert.ok(summary);
  }
  assert.deepEqual((await bench.archive.recordIds(call)).sort(), [
    'summary',
    'turn-000001',
    'turn-000002',
    'turn-000003',
  ]);
});

function readerOf(bench: Awaited<ReturnType<typeof startMessaging>>) {
  return {
    readCall: (id: string) => bench.cosmosArchive.readCall(id),
    recordIds: (id: string) => bench.cosmosArchive.recordIds(id),
  };
}

test('the transport of the settings: through the queue and on to the archive, and it stops in order', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  const transport = (env: Record<string, string>) =>
    openRecordTransport({
      config: loadConfig(MESSAGING_SETTINGS, env),
      archive: bench.cosmosArchive,
      credential: { getToken: () => Promise.resolve(null) },
      ...{ clock: systemClock, random: seededRandom(1), log: silentLog },
      registry: createRegistry({ processMetrics: false }),
    });
  assert.throws(() => transport({ RTVOICE_RECORD_TRANSPORT: 'ServiceBus' }), {
    code: 'ERR_MESSAGING_SETTINGS_INVALID',
  });
  const through = transport({
    RTVOICE_RECORD_TRANSPORT: 'ServiceBus',
    RTVOICE_SERVICEBUS_CONNECTION_STRING: bench.bus.connectionString,
    RTVOICE_SERVICEBUS_QUEUE: QUEUE,
    RTVOICE_SERVICEBUS_SESSIONS: '1',
  });
  through.start();
  assert.equal((await through.archive.write(turn(call, 1))).kind, 'written');
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(bench.stored(call), ['turn-000001']);
  await through.stop();
});

test('a queue that is too long is not looked through, and one that is away says so: nobody may conclude that a call has no records', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  await bench.archive.writeAll(turns(call, 3));
  const endpoint = { kind: 'connectionString', connectionString: bench.bus.connectionString } as const;
  const open = () => openServiceBus(endpoint, { operationMs: 1_000, retries: 0, retryDelayMs: 20 });
  const view = (maxMessages: number) => new BrokerView({ open, queue: QUEUE, clock: systemClock, maxMessages });
  await assert.rejects(view(2).recordsOf(call), { code: 'ERR_MESSAGING_BACKLOG' });
  assert.equal((await view(3).recordsOf(call)).length, 3);
  bench.bus.faults.down = true;
  bench.bus.dropConnections();
  await assert.rejects(bench.archive.readCall(call), { code: 'ERR_MESSAGING_UNAVAILABLE' });
  bench.bus.faults.down = false;
});
