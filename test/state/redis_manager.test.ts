import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { createLog } from '../../platform/log.ts';
import { KEY_KINDS, keyKind, ttlPolicy } from '../../state/keys/catalogue.ts';
import { Component } from '../../state/keys/component.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { AsyncAzureRedisManager } from '../../state/manager/redis_manager.ts';
import { loaded, newCallId, type StateBench, startCall, startState, ttls } from './support.ts';

let bench: StateBench;
let manager: AsyncAzureRedisManager;

before(async () => {
  bench = await startState();
  manager = new AsyncAzureRedisManager({ client: bench.client, keyManager: bench.keys });
});
after(() => bench[Symbol.asyncDispose]());

test('a session is stored, read and replaced as a whole, and each write gives it its life', async () => {
  const id = newCallId();
  assert.equal(await manager.getCallSession(id), undefined);
  await manager.storeCallSession(id, { language: 'en', tries: 2, tags: ['a', { b: null }] });
  assert.deepEqual(await manager.getCallSession(id), { language: 'en', tries: 2, tags: ['a', { b: null }] });
  await manager.storeCallSession(id, { language: 'de' }, { ttlSeconds: 3600 });
  assert.deepEqual(await manager.getCallSession(id), { language: 'de' });
  const left = await manager.ttlSeconds(bench.keys.callKey(id, Component.SESSION));
  assert.ok(typeof left === 'number' && left > 3590 && left <= 3600);
  await manager.storeCallSession(id, {});
  assert.deepEqual(await manager.getCallSession(id), {});
});

test('a field changes alone, and never makes half a session', async () => {
  const id = newCallId();
  assert.equal(await manager.updateSessionField(id, 'step', 1), false);
  await manager.storeCallSession(id, { step: 0, other: true });
  assert.equal(await manager.updateSessionField(id, 'step', 1), true);
  assert.equal(await manager.getSessionField(id, 'step'), 1);
  assert.equal(await manager.deleteSessionField(id, 'other'), true);
  assert.deepEqual(await manager.getCallSession(id), { step: 1 });
  assert.equal(await manager.getSessionField(id, 'other'), undefined);
  assert.equal(await manager.deleteSessionField(newCallId(), 'other'), false);
});

test('a field is extended with its session only when told, and a live call is never shortened', async () => {
  const id = newCallId();
  const key = bench.keys.callKey(id, Component.SESSION);
  await manager.storeCallSession(id, { step: 0 }, { ttlSeconds: 1800 });
  await manager.updateSessionField(id, 'step', 1, { extendTtl: false });
  assert.ok(Number(await manager.ttlSeconds(key)) <= 1800);
  await manager.updateSessionField(id, 'step', 2);
  assert.ok(Number(await manager.ttlSeconds(key)) > 7190);
  const call = startCall(bench.store, newCallId());
  await call.persist();
  const live = call.session.callConnectionId;
  await manager.storeCallSession(live, { step: 0 }, { ttlSeconds: 1800 });
  assert.ok(Number(await manager.ttlSeconds(bench.keys.callKey(live, Component.SESSION))) > 7190);
});

test('the session of an application and the record of the owner live side by side', async () => {
  const call = startCall(bench.store, newCallId());
  const id = call.session.callConnectionId;
  call.appendToHistory('caller', 'hello');
  await call.persist();
  assert.equal(await manager.getCallSession(id), undefined);
  await manager.storeCallSession(id, { ticket: 'T-1' });
  call.appendToHistory('assistant', 'hello to you');
  await call.persist({ full: true });
  assert.deepEqual(await manager.getCallSession(id), { ticket: 'T-1' });
  await manager.storeCallSession(id, { ticket: 'T-2' });
  const taken = await loaded(bench.store, id, 2);
  assert.deepEqual(
    taken.history.map(({ text }) => text),
    ['hello', 'hello to you'],
  );
  assert.deepEqual(await manager.getCallSession(id), { ticket: 'T-2' });
});

test('session fields cannot name the owner’s, nor be too many or too large', async () => {
  const id = newCallId();
  const nasty = ['_record', '_app', '', 'a b', 'a\r\nDEL x', '__proto__', 'x'.repeat(129)];
  for (const field of nasty) {
    await assert.rejects(manager.storeCallSession(id, Object.fromEntries([[field, 1]])), { code: 'ERR_VALUE_INVALID' });
    await assert.rejects(manager.updateSessionField(id, field, 1), { code: 'ERR_VALUE_INVALID' });
    await assert.rejects(manager.getSessionField(id, field), { code: 'ERR_VALUE_INVALID' });
  }
  const many = Object.fromEntries(Array.from({ length: 128 }, (_, n) => [`f${n}`, n]));
  await manager.storeCallSession(id, many);
  await assert.rejects(manager.storeCallSession(id, { ...many, more: 1 }), { code: 'ERR_VALUE_TOO_LARGE' });
  await assert.rejects(manager.updateSessionField(id, 'more', 1), { code: 'ERR_VALUE_TOO_LARGE' });
  assert.equal(await manager.updateSessionField(id, 'f0', 'again'), true);
  await assert.rejects(manager.storeCallSession(id, { big: 'x'.repeat(1024 * 1024) }), {
    code: 'ERR_VALUE_TOO_LARGE',
    message: /session\.big/,
  });
});

test('JSON and bytes are stored with the life of their kind', async () => {
  const summary = bench.keys.summaryKey(newCallId());
  await manager.setJson(summary, { turns: 3 });
  assert.deepEqual(await manager.getJson(summary), { turns: 3 });
  assert.ok(Number(await manager.ttlSeconds(summary)) > 604_790);
  const phrase = bench.keys.ttsKey('0a1b');
  const audio = Uint8Array.from({ length: 70_000 }, (_, n) => n % 256);
  await manager.setBinary(phrase, audio.subarray(10), { ttlSeconds: 86_400 });
  assert.deepEqual(await manager.getBinary(phrase), Buffer.from(audio.subarray(10)));
  assert.equal(await manager.getJson(bench.keys.ttsKey('missing')), undefined);
  assert.equal(await manager.getBinary(bench.keys.ttsKey('missing')), undefined);
  assert.equal(await manager.delete(phrase), true);
  assert.equal(await manager.delete(phrase), false);
  assert.equal(await manager.ttlSeconds(phrase), undefined);
});

test('a life outside the policy is refused, never clamped', async () => {
  const key = bench.keys.authKey(newCallId());
  for (const ttlSeconds of [0, 59, 3601, 1.5, Number.NaN]) {
    await assert.rejects(manager.setJson(key, {}, { ttlSeconds }), { code: 'ERR_TTL_INVALID' });
  }
  assert.equal(await manager.getJson(key), undefined);
});

test('authentication expires on purpose: nothing of a live call extends it', async () => {
  const call = startCall(bench.store, newCallId());
  const id = call.session.callConnectionId;
  await call.persist();
  await manager.storeAuthState(id, { method: 'pin' }, { ttlSeconds: 60 });
  await call.refresh();
  await call.persist({ full: true });
  assert.ok(Number(await manager.ttlSeconds(bench.keys.authKey(id))) <= 60);
  assert.deepEqual(await manager.getAuthState(id), { method: 'pin' });
});

test('extending never shortens, and tells a key that is gone', async () => {
  const key = bench.keys.authKey(newCallId());
  assert.equal(await manager.extendTtl(key), false);
  await manager.setJson(key, 1, { ttlSeconds: 900 });
  assert.equal(await manager.extendTtl(key, { ttlSeconds: 60 }), true);
  assert.ok(Number(await manager.ttlSeconds(key)) > 890);
  await manager.extendTtl(key, { ttlSeconds: 1800 });
  assert.ok(Number(await manager.ttlSeconds(key)) > 1790);
});

test('what belongs to scripts is not written from outside, and no other key either', async () => {
  const id = newCallId();
  const pool = { namespace: 'local', pool: 'demo' };
  const owned = [
    bench.keys.callKey(id, Component.FENCE),
    bench.keys.callKey(id, Component.SESSION),
    bench.keys.conversationKey(id, Component.HISTORY),
    bench.keys.systemKey(pool, Component.LEASES),
    bench.keys.workerKey(pool, 'demo-abcde', Component.AFFINITY),
  ];
  for (const key of owned) {
    await assert.rejects(manager.setJson(key, 1), { code: 'ERR_KEY_NOT_WRITABLE' });
    await assert.rejects(manager.delete(key), { code: 'ERR_KEY_NOT_WRITABLE' });
  }
  const foreign = [
    'session:abc',
    'rtvoice:prod:call:a:summary',
    'rtvoice:test:call:a:b:summary',
    'rtvoice:test:call:a:context',
    '',
  ];
  for (const key of foreign) {
    await assert.rejects(manager.setJson(key, 1), { code: 'ERR_KEY_INVALID' });
    await assert.rejects(manager.getJson(key), { code: 'ERR_KEY_INVALID' });
  }
});

test('a conversation’s context is written from outside only while no worker owns the call', async () => {
  const key = bench.keys.conversationKey(newCallId(), Component.CONTEXT);
  await manager.setJson(key, { user_authenticated: true }, { ttlSeconds: 1800 });
  assert.deepEqual(await manager.getJson(key), { user_authenticated: true });
  const call = startCall(bench.store, newCallId());
  await call.persist();
  const owned = bench.keys.conversationKey(call.session.callConnectionId, Component.CONTEXT);
  await assert.rejects(manager.setJson(owned, {}), { code: 'ERR_CALL_FENCED' });
});

test('a key of another type is named, and left alone', async () => {
  const key = bench.keys.summaryKey(newCallId());
  await bench.client.command('SET', key, 'not json', 'EX', 3600);
  await assert.rejects(manager.getJson(key), { code: 'ERR_VALUE_UNREADABLE', message: new RegExp(key) });
  const call = startCall(bench.store, newCallId());
  await call.persist();
  await assert.rejects(manager.getJson(bench.keys.callKey(call.session.callConnectionId, Component.SESSION)), {
    code: 'ERR_REDIS_COMMAND',
  });
});

test('a batch gives one result for each operation, failures among them', async () => {
  const [first, second] = [bench.keys.summaryKey(newCallId()), bench.keys.summaryKey(newCallId())];
  const results = await manager
    .batch()
    .setJson(first, { n: 1 })
    .setJson('session:abc', 1)
    .setBinary(second, Buffer.from('{"n":2}'))
    .getJson(second)
    .run();
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    [undefined, 'ERR_KEY_INVALID', undefined, { n: 2 }],
  );
  const full = manager.batch();
  for (let n = 0; n < 512; n++) full.getJson(first);
  assert.throws(() => full.getJson(first), { code: 'ERR_VALUE_TOO_LARGE' });
});

test('every operation is logged with its correlation id, without identifiers or values', async () => {
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).split('\n').filter(Boolean)) lines.push(JSON.parse(line));
      done();
    },
  });
  const log = createLog({ process: 'test', level: 'debug', destination });
  const logged = new AsyncAzureRedisManager({ client: bench.client, keyManager: bench.keys, log }).correlatedBy(
    'corr-1',
  );
  await logged.storeCallSession('call-secret', { name: 'words' });
  await logged.setJson(bench.keys.summaryKey('call-secret'), 'words');
  await assert.rejects(logged.setJson(bench.keys.callKey('call-secret', Component.FENCE), 1));
  assert.deepEqual(
    lines.map(({ op, correlationId, result, dataType, component }) => ({
      op,
      correlationId,
      result,
      dataType,
      component,
    })),
    [
      { op: 'storeCallSession', correlationId: 'corr-1', result: 'ok', dataType: 'call', component: 'session' },
      { op: 'setJson', correlationId: 'corr-1', result: 'ok', dataType: 'call', component: 'summary' },
      { op: 'setJson', correlationId: 'corr-1', result: 'ERR_KEY_NOT_WRITABLE', dataType: 'call', component: 'fence' },
    ],
  );
  assert.doesNotMatch(JSON.stringify(lines), /call-secret|words/);
});

test('the audit finds each fault by name, and nothing else', async () => {
  await bench.redis.flush();
  const live = startCall(bench.store, 'call-live');
  live.appendToHistory('caller', 'hello');
  await live.persist();
  const ended = startCall(bench.store, 'call-ended');
  ended.finish({ reason: 'callerHangUp', workers: ['w'], partial: false, endedAtMs: 1 });
  await ended.persist();
  await manager.setJson(bench.keys.authKey('call-live'), 1, { ttlSeconds: 60 });
  const clean = await manager.audit();
  assert.equal(clean.keys, (await ttls(bench.client)).size);
  assert.deepEqual(clean.counts, { withoutTtl: 0, outsideGrammar: 0, beyondPolicy: 0, expiresBeforeRefresh: 0 });

  await bench.client.command('PERSIST', bench.keys.callKey('call-live', Component.OUTBOX_IDS));
  await bench.client.command('SET', 'rtvoice:test:thing:a:b', 'x', 'EX', 60);
  await bench.client.command('EXPIRE', bench.keys.authKey('call-live'), 86_400);
  for (const call of ['call-live', 'call-ended'])
    await bench.client.command('EXPIRE', bench.keys.conversationKey(call, Component.CONTEXT), 300);
  const { names } = await manager.audit();
  assert.deepEqual(names, {
    withoutTtl: [bench.keys.callKey('call-live', Component.OUTBOX_IDS)],
    outsideGrammar: ['rtvoice:test:thing:a:b'],
    beyondPolicy: [bench.keys.authKey('call-live')],
    expiresBeforeRefresh: [bench.keys.conversationKey('call-live', Component.CONTEXT)],
  });
});

test('the table of kinds names each component once, and every builder’s key has a kind', () => {
  const names = KEY_KINDS.map(({ dataType, component }) => `${dataType}:${component}`);
  assert.equal(new Set(names).size, names.length);
  for (const component of Object.values(Component)) {
    assert.ok(
      KEY_KINDS.some((each) => each.component === component),
      component,
    );
  }
  const keys = new RedisKeyManager({ environment: 'prod', layout: 'cluster' });
  for (const key of [keys.ttsKey('a'), keys.authKey('a'), keys.profileKey('u'), keys.summaryKey('a')]) {
    const parsed = keys.parse(key);
    const kind = parsed && keyKind(parsed.dataType, parsed.component);
    assert.ok(kind && ttlPolicy(kind).max > 0, key);
  }
  assert.throws(() => keys.callKey('a', Component.AFFINITY), {
    code: 'ERR_KEY_INVALID',
    message: /call has no component affinity/,
  });
});
