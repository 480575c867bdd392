import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { silentLog } from '../../platform/log.ts';
import { legacyOrigin, MigratingCallStore } from '../../state/legacy/migrating_store.ts';
import { startRedis } from '../support/redis.ts';
import {
  dump,
  flushed,
  GRACE_MS,
  isOurs,
  type LegacyBench,
  migratingStore,
  newMigrator,
  numbered,
  startLegacy,
  talk,
  texts,
  writeFlat,
} from './legacy_support.ts';
import { loaded, newClient, newStore, startState, ttls } from './support.ts';

let bench: LegacyBench;
before(async () => {
  bench = await startLegacy();
});
after(() => bench[Symbol.asyncDispose]());
beforeEach(() => flushed(bench.client));

function migrating(more: Parameters<typeof newMigrator>[2] = {}) {
  return migratingStore(
    newStore(bench.client, bench.keys, more.maxHistory),
    newMigrator(bench.client, bench.keys, more),
  );
}

describe('migration on read', () => {
  test('a call without a record is moved over, split, and everything has its time to live', async () => {
    await writeFlat(bench.client, talk('call-1', ['hello', 'welcome']));
    await bench.client.command('SET', 'call_stream_mode:call-1', 'media', 'EX', 500);
    const call = await migrating().read('call-1');
    assert.deepEqual(texts(call), ['hello', 'welcome']);
    assert.deepEqual(call.context, { active_agent: 'Desk', legacy: { settings: { streamMode: 'media' } } });
    assert.deepEqual(
      call.unarchived.map(({ id }) => id),
      ['turn-000001', 'turn-000002'],
    );
    const found = await ttls(bench.client);
    assert.deepEqual([...found.keys()].filter(isOurs).sort(), [
      'rtvoice:test:call:call-1:outbox',
      'rtvoice:test:call:call-1:outbox_ids',
      'rtvoice:test:call:call-1:session',
      'rtvoice:test:conversation:call-1:context',
      'rtvoice:test:conversation:call-1:history',
    ]);
    for (const [key, seconds] of found) assert.ok(seconds > 0, `${key} has no TTL`);
    for (const key of [...found.keys()].filter(isOurs))
      assert.ok(bench.keys.parse(key), `${key} is not in the grammar`);
    const grace = found.get('session:call-1') ?? 0;
    assert.ok(grace > GRACE_MS / 1000 - 60 && grace <= GRACE_MS / 1000);
    assert.ok((found.get('call_stream_mode:call-1') ?? 0) <= 500, 'a TTL was prolonged');
  });

  test('a call that has a record, and one that has nothing, stay as they are', async () => {
    assert.deepEqual(await migrating().read('nobody'), {
      session: undefined,
      context: {},
      history: [],
      unarchived: [],
    });
    assert.deepEqual(await bench.client.command('DBSIZE'), 0);
    const store = migrating();
    await store.read('call-1');
    await writeFlat(bench.client, talk('call-1', ['hello']));
    await store.read('call-1');
    await writeFlat(bench.client, talk('call-1', ['hello', 'written by an older system since']));
    assert.deepEqual(texts(await store.read('call-1')), ['hello']);
  });

  test('a conversation goes on under its next owner without a gap', async () => {
    await writeFlat(bench.client, talk('call-1', numbered(7)));
    const store = migrating({ maxHistory: 4 });
    const manager = await loaded(store, 'call-1', 3, { limits: { maxHistory: 4 } });
    assert.deepEqual(texts(manager), ['text 4', 'text 5', 'text 6', 'text 7']);
    assert.equal(manager.appendToHistory('caller', 'and on').seq, 8);
    manager.updateContext({ step: 2 });
    await manager.persist();
    const call = await store.read('call-1');
    assert.deepEqual(
      call.history.map(({ seq }) => seq),
      [5, 6, 7, 8],
    );
    assert.deepEqual(
      call.unarchived.map(({ body }) => body.seq),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert.deepEqual(call.context, { active_agent: 'Desk', step: 2 });
    assert.ok(call.session && legacyOrigin(call.session), 'where it came from is gone');
    // A migration that was under way all the time comes too late.
    const before = await dump(bench.client);
    assert.deepEqual(await newMigrator(bench.client, bench.keys).migrate('call-1'), { kind: 'exists' });
    assert.deepEqual(await dump(bench.client), before);
    const next = await loaded(store, 'call-1', 4);
    assert.equal(next.appendToHistory('assistant', 'welcome back').seq, 9);
    await next.persist();
    await assert.rejects(manager.refresh(), { code: 'ERR_CALL_FENCED' });
  });

  test('fields that an application wrote into the session stay', async () => {
    await writeFlat(bench.client, talk('call-1', ['hello']));
    const key = 'rtvoice:test:call:call-1:session';
    await bench.client.command('HSET', key, 'mood', '"good"');
    assert.deepEqual(texts(await migrating().read('call-1')), ['hello']);
    assert.equal(await bench.client.command('HGET', key, 'mood'), '"good"');
  });

  test('an old state does not come back once a conversation went on and expired', async () => {
    await writeFlat(bench.client, talk('call-1', ['hello']));
    const store = migrating();
    const records = ['call:call-1:session', 'conversation:call-1:context', 'conversation:call-1:history'];
    const expire = () => bench.client.command('DEL', ...records.map((name) => `rtvoice:test:${name}`));
    await store.read('call-1');
    await expire();
    assert.deepEqual(texts(await store.read('call-1')), ['hello'], 'moved over, never gone on with: comes back');
    const manager = await loaded(store, 'call-1', 1);
    manager.appendToHistory('caller', 'more');
    await manager.persist();
    await expire();
    assert.equal((await store.read('call-1')).session, undefined);
  });

  test('a session that Redis evicted alone is made again, beside the history that stayed', async () => {
    await writeFlat(bench.client, talk('call-1', numbered(5)));
    const store = migrating();
    const call = await store.read('call-1');
    await bench.client.command('DEL', 'rtvoice:test:call:call-1:session');
    assert.deepEqual(await store.read('call-1'), call);
  });

  test('history beyond what Redis keeps stands in the outbox, also when it takes many steps', async () => {
    await writeFlat(bench.client, talk('call-1', numbered(1_100)));
    const call = await migrating().read('call-1');
    assert.equal(call.history.length, 400);
    assert.equal(call.history.at(-1)?.seq, 1_100);
    assert.deepEqual(
      call.unarchived.map(({ body }) => body.text),
      numbered(1_100),
    );
  });
});

describe('what cannot be read', () => {
  test('a wrong type, foreign bytes and wrong JSON are faults that hold nothing up and stay as they are', async () => {
    await bench.client.command('SET', 'session:wrong-type', 'text');
    await bench.client.command('ZADD', 'session:zset', 1, 'x');
    await bench.client.command(
      'HSET',
      'session:bytes',
      'chat_history',
      Buffer.from('[{"role":"user","content":"\xff"}]', 'latin1'),
    );
    await bench.client.command('HSET', 'session:json', 'chat_history', 'what the caller said');
    const before = await dump(bench.client);
    const ids = ['wrong-type', 'zset', 'bytes', 'json'];
    for (const id of ids) {
      const migrator = newMigrator(bench.client, bench.keys);
      const outcome = await migrator.migrate(id);
      assert.ok(outcome.kind === 'unreadable', id);
      assert.deepEqual(
        outcome.faults.map(({ key, code }) => [key, code]),
        [[`session:${id}`, 'ERR_LEGACY_UNREADABLE']],
      );
      assert.doesNotMatch(JSON.stringify(outcome), /caller said/);
      assert.equal((await migrating().read(id)).session, undefined);
    }
    assert.deepEqual(await dump(bench.client), before);
    for (const [key, seconds] of await ttls(bench.client)) assert.equal(seconds, -1, key);
  });

  test('of two hashes the one that can be read is moved over, and the other one waits', async () => {
    await writeFlat(bench.client, talk('call-1', ['hello']));
    await bench.client.command('SET', 'session:media_call-1', 'text');
    assert.deepEqual(texts(await migrating().read('call-1')), ['hello']);
    const found = await ttls(bench.client);
    assert.deepEqual([found.get('session:media_call-1'), (found.get('session:call-1') ?? 0) > 0], [-1, true]);
  });

  test('keys over the bounds never leave the server', async () => {
    await writeFlat(bench.client, talk('call-1', ['x'.repeat(5_000)]));
    const outcome = await newMigrator(bench.client, bench.keys, { limits: { maxKeyBytes: 4_000 } }).migrate('call-1');
    assert.ok(outcome.kind === 'unreadable');
    assert.equal(outcome.faults[0]?.code, 'ERR_LEGACY_TOO_LARGE');
  });
});

test('a server that goes away in the middle is an error, and the next try ends it', async (t) => {
  const own = await startState({ persist: true });
  t.after(() => own[Symbol.asyncDispose]());
  await writeFlat(own.client, talk('call-1', numbered(30)));
  const store = migratingStore(own.store, newMigrator(own.client, own.keys));
  await own.redis.kill();
  await assert.rejects(store.read('call-1'), (error: { code: string }) => error.code.startsWith('ERR_REDIS_'));
  const up = once(own.client, 'up');
  await own.redis.restart();
  await up;
  assert.deepEqual(texts(await store.read('call-1')), numbered(30));
});

test('while another server with the flat keys is away a worker goes on, and an application is told', async (t) => {
  const legacy = await startRedis();
  t.after(() => legacy[Symbol.asyncDispose]());
  const legacyRedis = newClient(legacy, 'fastFail');
  t.after(() => legacyRedis.close());
  await legacyRedis.ready();
  await writeFlat(legacyRedis, talk('call-1', ['hello']));
  const migrator = newMigrator(bench.client, bench.keys, { legacyRedis });
  const store = newStore(bench.client, bench.keys);
  const application = new MigratingCallStore({ store, migrator, log: silentLog });
  const worker = new MigratingCallStore({ store, migrator, log: silentLog, whenAway: 'goOn' });
  await application.read('call-1');
  const down = once(legacyRedis, 'down');
  await legacy.kill();
  await down;
  assert.deepEqual(texts(await application.read('call-1')), ['hello'], 'a call with a record needs no flat keys');
  await assert.rejects(application.read('call-2'), { code: 'ERR_REDIS_UNAVAILABLE' });
  const claim = await worker.claim({ callConnectionId: 'call-2', fence: 1, incarnation: 'inc-1' });
  assert.deepEqual([claim.kind, claim.kind === 'claimed' && claim.call.session], ['claimed', undefined]);
});
