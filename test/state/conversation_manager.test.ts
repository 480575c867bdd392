import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createRegistry } from '../../platform/metrics.ts';
import { ConversationManager } from '../../state/calls/conversation_manager.ts';
import { ConversationMetrics } from '../../state/calls/conversation_metrics.ts';
import type { CallStore } from '../../state/ports.ts';
import { conversationOptions, loaded, newCallId, type StateBench, startCall, startState } from './support.ts';

let bench: StateBench;
before(async () => {
  bench = await startState({ maxHistory: 4 });
});
after(() => bench[Symbol.asyncDispose]());

const limits = { maxHistory: 4 };

test('a conversation written by one owner goes on under the next', async () => {
  const id = newCallId();
  const first = startCall(bench.store, id, 1, { limits });
  first.updateContext({ name: 'known', drop: 1 });
  first.updateContext({ drop: undefined });
  first.updateSession({ state: 'talking', recentEventIds: ['e1'], dialogue: { step: 2 } });
  first.appendToHistory('caller', 'hello');
  await first.persist();
  assert.equal(first.dirty, false);
  assert.equal(first.storedIn, 'redis');

  const second = await loaded(bench.store, id, 2, { limits });
  assert.deepEqual(second.context, { name: 'known' });
  assert.deepEqual(second.session, first.session);
  assert.deepEqual(second.history, first.history);
  assert.equal(second.unarchivedCount, 1);
  assert.equal(second.appendToHistory('assistant', 'welcome').seq, 2);
  await second.persist();

  first.appendToHistory('caller', 'still there?');
  await assert.rejects(first.persist(), { code: 'ERR_CALL_FENCED' });
  assert.equal(first.fenced, true);
  await assert.rejects(first.persist(), { code: 'ERR_CALL_FENCED' });
  assert.deepEqual(
    (await bench.store.read(id)).history.map((each) => each.text),
    ['hello', 'welcome'],
  );
});

test('fromRedis tells a refused claim and a call without records', async () => {
  const id = newCallId();
  assert.deepEqual(await ConversationManager.fromRedis(conversationOptions(bench.store, 2), id), { kind: 'empty' });
  assert.deepEqual(await ConversationManager.fromRedis(conversationOptions(bench.store, 1), id), {
    kind: 'refused',
    storedFence: 2,
  });
});

test('what Redis did not confirm stays dirty and goes with the next persist', async (t) => {
  const away = await startState();
  t.after(() => away[Symbol.asyncDispose]());
  const id = newCallId();
  const call = startCall(away.store, id);
  call.appendToHistory('caller', 'one');
  await call.persist();
  await away.redis.stop();
  call.appendToHistory('assistant', 'two');
  call.updateContext({ asked: true });
  await assert.rejects(call.persist(), { code: /^ERR_REDIS_/ });
  assert.equal(call.dirty, true);
  assert.equal(call.storedIn, 'memory');

  // It comes back empty: the delta no longer joins, so everything is written again.
  await away.redis.restart({ keepData: false });
  await away.client.ready();
  call.appendToHistory('caller', 'three');
  await call.persist();
  const stored = await away.store.read(id);
  assert.deepEqual(
    stored.history.map((each) => each.text),
    ['one', 'two', 'three'],
  );
  assert.deepEqual(
    stored.unarchived.map((each) => each.id),
    ['turn-000001', 'turn-000002', 'turn-000003'],
  );
  assert.deepEqual(stored.context, { asked: true });
});

test('after Redis was emptied a full persist writes what Cosmos has not confirmed, under the same ids', async (t) => {
  const emptied = await startState();
  t.after(() => emptied[Symbol.asyncDispose]());
  const id = newCallId();
  const call = startCall(emptied.store, id);
  for (const text of ['one', 'two', 'three']) call.appendToHistory('caller', text);
  await call.persist();
  const before = await emptied.store.read(id);
  call.archived(['turn-000001']);
  await emptied.redis.flush();
  await call.refresh();
  const after = await emptied.store.read(id);
  assert.deepEqual(after.history, before.history);
  assert.deepEqual(after.unarchived, before.unarchived.slice(1));
  call.archived(3);
  assert.equal(call.unarchivedCount, 0);
  assert.equal(call.storedIn, 'cosmos');
});

test('an emptied Redis that a fenced-out owner wrote first belongs to the newer owner again', async (t) => {
  const emptied = await startState();
  t.after(() => emptied[Symbol.asyncDispose]());
  const id = newCallId();
  const old = startCall(emptied.store, id);
  old.appendToHistory('caller', 'one');
  await old.persist();
  const newer = await loaded(emptied.store, id, 2);
  newer.appendToHistory('assistant', 'two');
  await newer.persist();
  await emptied.redis.flush();
  old.appendToHistory('caller', 'two by the old owner');
  await old.persist({ full: true });
  newer.appendToHistory('caller', 'three');
  await newer.persist();
  const stored = await emptied.store.read(id);
  assert.deepEqual(
    stored.history.map((each) => each.text),
    ['one', 'two', 'three'],
  );
  // Both second turns were accepted; neither vanishes.
  assert.deepEqual(
    stored.unarchived.filter((each) => each.id === 'turn-000002').map((each) => each.body.text),
    ['two by the old owner', 'two'],
  );
  await assert.rejects(old.persist({ full: true }), { code: 'ERR_CALL_FENCED' });
});

test('memory keeps the bounded history and all that is not confirmed', async () => {
  const call = startCall(bench.store, newCallId(), 1, { limits });
  for (let seq = 1; seq <= 6; seq++) call.appendToHistory('caller', `${seq}`);
  assert.equal(call.history.length, 6);
  await call.persist();
  assert.deepEqual(
    call.history.map((each) => each.seq),
    [3, 4, 5, 6],
  );
  await call.persist({ full: true });
  assert.deepEqual(
    (await bench.store.read(call.session.callConnectionId)).history.map((each) => each.seq),
    [3, 4, 5, 6],
  );
});

test('persists that come while one is in flight share one write', async () => {
  const stored: (readonly string[])[] = [];
  const call = startCall(bench.store, newCallId(), 1, { onStored: (_id, ids) => stored.push(ids) });
  call.appendToHistory('caller', 'one');
  const first = call.persist();
  await Promise.resolve();
  call.appendToHistory('caller', 'two');
  const second = call.persist();
  call.appendToHistory('caller', 'three');
  const third = call.persist();
  assert.equal(second, third);
  await Promise.all([first, second, third]);
  assert.equal(call.dirty, false);
  assert.deepEqual(stored.flat(), ['turn-000001', 'turn-000002', 'turn-000003']);
});

test('the end record stands once and counts the turns', async () => {
  const call = startCall(bench.store, newCallId());
  call.appendToHistory('caller', 'bye');
  call.finish({ reason: 'callerHangUp', endedAtMs: 5_000, workers: ['w'], partial: false });
  call.finish({ reason: 'idle', endedAtMs: 6_000, workers: ['w'], partial: false });
  await call.persist();
  const { unarchived } = await bench.store.read(call.session.callConnectionId);
  assert.deepEqual(
    unarchived.map((each) => each.id),
    ['turn-000001', 'summary'],
  );
  assert.equal(unarchived[1]?.body.reason, 'callerHangUp');
  assert.equal(unarchived[1]?.body.turns, 1);
  const summary = await bench.client.command<string>('GET', bench.keys.summaryKey(call.session.callConnectionId));
  assert.match(summary, /"callerHangUp"/);
});

test('input beyond the limits is refused by name and changes nothing', () => {
  const call = startCall(bench.store, newCallId(), 1, { limits: { maxTextLength: 3, maxContextLength: 20 } });
  assert.throws(() => call.appendToHistory('caller', 'four'), { code: 'ERR_CALL_RECORD_TOO_LARGE', message: /text/ });
  assert.throws(() => call.updateContext({ large: 'x'.repeat(20) }), {
    code: 'ERR_CALL_RECORD_TOO_LARGE',
    message: /context/,
  });
  assert.deepEqual([call.history, call.context], [[], {}]);
});

test('a manager that does not know how far the write ids had come still writes', async () => {
  const id = newCallId();
  const first = startCall(bench.store, id);
  first.appendToHistory('caller', 'one');
  await first.persist();
  first.updateContext({ n: 1 });
  await first.persist();
  const again = startCall(bench.store, id);
  again.appendToHistory('caller', 'other');
  await again.persist();
  const stored = await bench.store.read(id);
  assert.deepEqual(
    stored.history.map(({ text }) => text),
    ['other'],
  );
  assert.deepEqual(
    stored.unarchived.map(({ body }) => body.text),
    ['one', 'other'],
  );
});

test('fields of a newer release come through a takeover and back', async () => {
  const id = newCallId();
  const newer = startCall(bench.store, id);
  newer.updateSession({ mood: 'fine' } as never);
  newer.updateContext({ newerKey: { deep: [1] } });
  newer.appendToHistory('caller', 'hello');
  await newer.persist();
  const older = await loaded(bench.store, id, 2);
  older.updateContext({ known: true });
  older.updateSession({ state: 'talking' });
  older.appendToHistory('assistant', 'welcome');
  await older.persist({ full: true });
  const stored = await bench.store.read(id);
  assert.equal((stored.session as unknown as Record<string, unknown>).mood, 'fine');
  assert.deepEqual(stored.context, { newerKey: { deep: [1] }, known: true });
  assert.equal(stored.session?.state, 'talking');
});

test('dirty calls and the time of writes are exported', async () => {
  const registry = createRegistry({ processMetrics: false });
  const metrics = new ConversationMetrics(registry);
  const call = startCall(bench.store, newCallId(), 1, { metrics });
  const dirty = async () => (await registry.getSingleMetric('rtvoice_state_dirty_calls')?.get())?.values[0]?.value;
  assert.equal(await dirty(), 1);
  await call.persist();
  assert.equal(await dirty(), 0);
  assert.match(await registry.metrics(), /rtvoice_state_persist_duration_seconds_count 1/);
});

test('a context that did not change is not sent again, keeps its life, and is missed when Redis has lost it', async () => {
  const sent: (Record<string, unknown> | undefined)[] = [];
  const watched: CallStore = {
    claim: (request) => bench.store.claim(request),
    refresh: (request) => bench.store.refresh(request),
    read: (id) => bench.store.read(id),
    checkpoint: (checkpoint) => {
      sent.push(checkpoint.context);
      return bench.store.checkpoint(checkpoint);
    },
  };
  const id = newCallId();
  const key = bench.keys.conversationKey(id, 'context');
  const manager = startCall(watched, id);
  manager.updateContext({ language: 'en' });
  await manager.persist();
  await bench.client.command('PEXPIRE', key, 60_000);
  manager.appendToHistory('caller', 'one');
  manager.updateContext({ language: 'en' });
  await manager.persist();
  assert.deepEqual(sent, [{ language: 'en' }, undefined]);
  assert.ok((await bench.client.command<number>('PTTL', key)) > 60_000);
  await bench.client.command('DEL', key);
  manager.appendToHistory('caller', 'two');
  await manager.persist();
  assert.deepEqual(sent.slice(2), [undefined, { language: 'en' }]);
  const { context, history } = await bench.store.read(id);
  assert.deepEqual([context, history.map(({ text }) => text)], [{ language: 'en' }, ['one', 'two']]);
});
