import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { ENVELOPE_VERSION } from '../../state/envelope.ts';
import type { ArchiveRecord, CallArchive } from '../../state/outbox/ports.ts';
import { type MessagingBench, startMessaging, turn, turns } from './messaging_bench.ts';
import { newCallId } from './support.ts';

const ids = (call: string, count: number) => turns(call, count).map(({ id }) => id);

/** The real archive with a gate before it, and an event for each write that is asked for. */
function gated(bench: MessagingBench) {
  const events = new EventEmitter();
  let open: Promise<void> = Promise.resolve();
  let release = (): void => undefined;
  const archive: CallArchive = {
    readCall: (id) => bench.cosmosArchive.readCall(id),
    recordIds: (id) => bench.cosmosArchive.recordIds(id),
    write: async (record) => {
      events.emit('asked', record);
      await open;
      const outcome = await bench.cosmosArchive.write(record);
      events.emit('answered', record, outcome);
      return outcome;
    },
  };
  return {
    archive,
    close: () => {
      open = new Promise((resolve) => {
        release = resolve;
      });
    },
    open: () => release(),
    asked: async () => (await once(events, 'asked')) as [ArchiveRecord],
    answered: async () => (await once(events, 'answered')) as [ArchiveRecord, { kind: string }],
  };
}

test('the lock is lost in the middle of a write: the message comes again and one document stands', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const gate = gated(bench);
  const call = newCallId();
  gate.close();
  await bench.archive.write(turn(call, 1));
  const asked = gate.asked();
  const consumer = bench.consumer({ archive: gate.archive });
  await asked;
  const answered = gate.answered();
  bench.queue.loseSession(call);
  gate.open();
  assert.equal((await answered)[1].kind, 'written');
  assert.equal(bench.queue.messages[0]?.deliveryCount, 1);
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(bench.stored(call), ids(call, 1));
  await consumer.stop();
  assert.equal(await consumer.metric('rtvoice_messaging_settled_total', 'lock_lost'), 1);
  assert.equal(await consumer.metric('rtvoice_messaging_settled_total', 'completed'), 1);
});

test('the broker loses the answer to a completion: nothing is written twice', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  bench.bus.faults.lostCompletions = 1;
  await bench.archive.writeAll(turns(call, 3));
  bench.consumer();
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(bench.stored(call).sort(), ids(call, 3));
});

test('the archive is away for longer than any delivery count allows: records wait, none is buried, all arrive in order', async (t) => {
  const bench = await startMessaging({ maxDeliveryCount: 2, lockMs: 1_500 });
  t.after(() => bench.stop());
  const gate = gated(bench);
  const call = newCallId();
  bench.cosmos.faults.throttle = Number.POSITIVE_INFINITY;
  await bench.archive.writeAll(turns(call, 5));
  const consumer = bench.consumer({ archive: gate.archive, holdMs: 700 });
  // Each hold ends after 700 ms at the latest, so the session changes hands several times while it lasts.
  for (let tries = 0; tries < 9; tries++) assert.equal((await gate.answered())[1].kind, 'later');
  assert.deepEqual(
    bench.queue.messages.map(({ deliveryCount }) => deliveryCount),
    [0, 0, 0, 0, 0],
  );
  bench.cosmos.faults.throttle = 0;
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(bench.stored(call), ids(call, 5));
  assert.equal(bench.dead.messages.length, 0);
  await consumer.stop();
  assert.ok((await consumer.metric('rtvoice_messaging_settled_total', 'returned')) >= 5);
});

test('the broker is away for a while: every record arrives, none twice', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  bench.consumer();
  await bench.archive.writeAll(turns(call, 3));
  await bench.until(() => bench.queue.messages.length === 0);
  bench.bus.faults.down = true;
  bench.bus.dropConnections();
  assert.equal((await bench.archive.write(turn(call, 4))).kind, 'later');
  bench.bus.faults.down = false;
  for (const record of turns(call, 3, 4)) {
    // As the outbox does: again until it is taken.
    while ((await bench.archive.write(record)).kind === 'later');
  }
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(bench.stored(call), ids(call, 6));
});

test('what the archive never takes goes to the dead letters with its reason; the call goes on', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const call = newCallId();
  const refusing: CallArchive = {
    readCall: (id) => bench.cosmosArchive.readCall(id),
    recordIds: (id) => bench.cosmosArchive.recordIds(id),
    // A document of over 2 MB is what Cosmos DB really refuses; a message of that size would not fit the queue of this test.
    write: (record) =>
      bench.cosmosArchive.write(
        record.body.text === 'poison' ? { ...record, body: { ...record.body, pad: 'x'.repeat(2_200_000) } } : record,
      ),
  };
  const consumer = bench.consumer({ archive: refusing });
  await bench.archive.writeAll([turn(call, 1), turn(call, 2, 'poison'), turn(call, 3)]);
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(bench.stored(call), ['turn-000001', 'turn-000003']);
  const [letter, ...more] = await bench.deadLetters.list();
  assert.deepEqual(more, []);
  assert.equal(letter?.callConnectionId, call);
  assert.equal(letter?.recordId, 'turn-000002');
  assert.equal(letter?.reason, 'the document is too large (413)');
  assert.ok(!JSON.stringify(letter).includes('poison'));
  await consumer.stop();
  assert.equal(await consumer.metric('rtvoice_messaging_settled_total', 'dead_lettered'), 1);
});

test('a message that no release can read is dead; one of a newer release stays where it is', async (t) => {
  const bench = await startMessaging({ maxDeliveryCount: 2 });
  t.after(() => bench.stop());
  const [broken, newer] = [newCallId(), newCallId()];
  const header = { v: ENVELOPE_VERSION + 1, alg: 'none' };
  await bench.archive.writeAll([{ ...turn(newer, 1), header }]);
  bench.queue.enqueue({ group_id: broken, message_id: 'x', application_properties: { kind: 'turn' }, body: 'text' });
  bench.consumer();
  await bench.until(() => bench.dead.messages.length === 1);
  assert.equal((await bench.deadLetters.list())[0]?.reason, 'the message names no record');
  await bench.until(() => bench.queue.sessions.timesAccepted(newer) >= 3);
  assert.equal(bench.queue.messages.length, 1);
  assert.equal(bench.queue.messages[0]?.deliveryCount, 0);
});

test('two consumers share the sessions, each call stays in its order, and everything arrives once', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const calls = Array.from({ length: 12 }, () => newCallId());
  const written: { by: string; call: string; id: string }[] = [];
  const by = (name: string): CallArchive => ({
    readCall: (id) => bench.cosmosArchive.readCall(id),
    recordIds: (id) => bench.cosmosArchive.recordIds(id),
    write: (record) => {
      written.push({ by: name, call: record.callConnectionId, id: record.id });
      return bench.cosmosArchive.write(record);
    },
  });
  await Promise.all(calls.map((call) => bench.archive.writeAll(turns(call, 10))));
  bench.consumer({ archive: by('one'), maxSessions: 2 });
  bench.consumer({ archive: by('two'), maxSessions: 2 });
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(new Set(written.map((each) => each.by)), new Set(['one', 'two']));
  for (const call of calls) {
    assert.deepEqual(
      written.filter((each) => each.call === call).map(({ id }) => id),
      ids(call, 10),
    );
    assert.deepEqual(bench.stored(call).sort(), ids(call, 10));
  }
});

test('a long session gives way: with one slot, a short call is not behind all of a long one', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const [long, short] = [newCallId(), newCallId()];
  const order: string[] = [];
  const archive: CallArchive = {
    readCall: (id) => bench.cosmosArchive.readCall(id),
    recordIds: (id) => bench.cosmosArchive.recordIds(id),
    write: (record) => {
      order.push(record.callConnectionId);
      return bench.cosmosArchive.write(record);
    },
  };
  await bench.archive.writeAll(turns(long, 60));
  await bench.archive.write(turn(short, 1));
  bench.consumer({ archive, maxSessions: 1, maxMessages: 10 });
  await bench.until(() => bench.queue.messages.length === 0);
  const at = order.indexOf(short);
  assert.ok(at >= 0 && at <= 10, `the short call came after ${at} records`);
});

test('stopping finishes the write in hand, and gives the rest back without counting it', async (t) => {
  const bench = await startMessaging();
  t.after(() => bench.stop());
  const gate = gated(bench);
  const call = newCallId();
  gate.close();
  await bench.archive.writeAll(turns(call, 6));
  const asked = gate.asked();
  const consumer = bench.consumer({ archive: gate.archive });
  await asked;
  const stopping = consumer.stop();
  gate.open();
  await stopping;
  const left = bench.queue.messages;
  const stored = bench.stored(call);
  assert.ok(stored.length >= 1);
  assert.deepEqual(
    left
      .map(({ message }) => message.application_properties?.recordId)
      .concat(stored)
      .sort(),
    ids(call, 6),
  );
  assert.ok(left.every(({ deliveryCount, lock }) => deliveryCount === 0 && lock === undefined));
  assert.equal(bench.queue.sessions.isLocked(call), false);
  bench.consumer();
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(bench.stored(call).sort(), ids(call, 6));
});

test('a consumer dies without a farewell: its session is free again after its lock, and the other takes it', async (t) => {
  const bench = await startMessaging({ lockMs: 1_000 });
  t.after(() => bench.stop());
  const gate = gated(bench);
  const call = newCallId();
  gate.close();
  await bench.archive.writeAll(turns(call, 3));
  const asked = gate.asked();
  bench.consumer({ archive: gate.archive });
  await asked;
  bench.bus.dropConnections();
  gate.open();
  bench.consumer();
  await bench.until(() => bench.queue.messages.length === 0);
  assert.deepEqual(bench.stored(call).sort(), ids(call, 3));
});
