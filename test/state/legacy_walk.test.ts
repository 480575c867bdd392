import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { type FlatConversation, flatConversation } from '../../state/legacy/testing.ts';
import {
  bulk,
  dump,
  flushed,
  isOurs,
  type LegacyBench,
  newMigrator,
  POOL,
  startLegacy,
  talk,
  writeFlat,
} from './legacy_support.ts';
import { newStore, ttls } from './support.ts';

let bench: LegacyBench;
before(async () => {
  bench = await startLegacy();
});
after(() => bench[Symbol.asyncDispose]());
beforeEach(() => flushed(bench.client));

const parts = (more: Parameters<typeof newMigrator>[2] = {}) => ({
  migrator: newMigrator(bench.client, bench.keys, more),
  store: newStore(bench.client, bench.keys),
  legacyRedis: bench.client,
});

async function generated(): Promise<FlatConversation[]> {
  const conversations = fc.sample(flatConversation(), { numRuns: 30, seed: 5 });
  const unique = [...new Map(conversations.map((each) => [each.id, each])).values()];
  for (const each of unique) await writeFlat(bench.client, each);
  await bench.client.command('SET', 'session:wrong-type', 'text');
  await bench.client.command('HSET', `session:${'x'.repeat(10_000)}`, 'chat_history', '{}');
  await bench.client.command('SET', 'unrelated', '1');
  await bench.client.command('SET', 'session:s1:card_application:c1', '1', 'EX', 500);
  return unique;
}

test('a dry run changes nothing, and says what a run does', async () => {
  const unique = await generated();
  const before = await dump(bench.client);
  const planned = await bulk(parts(), { dryRun: true });
  assert.deepEqual(await dump(bench.client), before);
  for (const [key, seconds] of await ttls(bench.client))
    assert.equal(seconds === -1, key !== 'session:s1:card_application:c1', key);
  assert.equal(planned.filter(({ state }) => state === 'ready').length, unique.length);
  const faults = planned.filter(({ state }) => state === 'unreadable').flatMap(({ faults: each }) => each);
  assert.deepEqual(
    faults.map(({ code }) => code),
    ['ERR_LEGACY_UNREADABLE', 'ERR_LEGACY_TOO_LARGE'],
  );

  const done = await bulk(parts());
  const shown = (rows: typeof done) =>
    rows.map(({ state, ...row }) => ({ ...row, ready: /ready|migrated/.test(state) }));
  assert.deepEqual(shown(done), shown(planned));
  const made = new Set([...(await dump(bench.client, isOurs)).keys()]);
  for (const target of planned.flatMap(({ targets }) => targets)) assert.ok(made.has(target), target);
});

test('a second run changes nothing', async () => {
  const unique = await generated();
  await bulk(parts());
  const before = await dump(bench.client);
  const times = await ttls(bench.client);
  const again = await bulk(parts());
  assert.deepEqual(await dump(bench.client), before);
  assert.equal(again.filter(({ state }) => state === 'done').length, unique.length);
  for (const [key, seconds] of await ttls(bench.client))
    assert.ok(seconds <= (times.get(key) ?? 0), `${key} was prolonged`);
});

test('runs with a limit go on where the last one ended', async () => {
  for (let call = 0; call < 10; call++) await writeFlat(bench.client, talk(`call-${call}`, ['hello']));
  const migratedIn = async () => (await bulk(parts(), { limit: 4 })).filter(({ state }) => state === 'migrated').length;
  assert.deepEqual([await migratedIn(), await migratedIn(), await migratedIn(), await migratedIn()], [4, 4, 2, 0]);
});

test('what nobody owns is told to the archiver of the pool, what somebody owns is not', async () => {
  await writeFlat(bench.client, talk('call-1', ['hello']));
  await writeFlat(bench.client, talk('call-2', ['hello']));
  const store = newStore(bench.client, bench.keys);
  await store.claim({ callConnectionId: 'call-2', fence: 1, incarnation: 'inc-1' });
  const index = bench.keys.systemKey(POOL, 'unsent_calls');
  // As if the first run had died before it came to the index.
  await newMigrator(bench.client, bench.keys).migrate('call-1');
  assert.equal(await bench.client.command('EXISTS', index), 0);
  await bulk(parts());
  const told = await bench.client.command<Record<string, string>>('HGETALL', index);
  assert.deepEqual(Object.values(told), ['call-1']);
  for (const [key, seconds] of await ttls(bench.client)) if (isOurs(key)) assert.ok(seconds > 0, `${key} has no TTL`);
});

test('an older system that has written since is found out; a key that has expired is not taken for that', async () => {
  await writeFlat(bench.client, talk('call-1', ['hello']));
  await bench.client.command('SET', 'call_session_map:call-1', 'browser-1', 'EX', 500);
  await bulk(parts());
  await bench.client.command('DEL', 'call_session_map:call-1');
  assert.deepEqual(
    (await bulk(parts())).map(({ state }) => state),
    ['done'],
  );
  await writeFlat(bench.client, talk('call-1', ['hello', 'more']));
  assert.deepEqual(
    (await bulk(parts())).map(({ state }) => state),
    ['diverged'],
  );
});

test('a browser session that a call is mapped to is moved over with the call alone', async () => {
  await writeFlat(bench.client, talk('browser-1', ['hello']));
  await bench.client.command('SET', 'call_session_map:call-1', 'browser-1');
  const rows = await bulk(parts());
  assert.deepEqual(
    rows.map(({ id, state, entries }) => [id, state, entries]),
    [['call-1', 'migrated', 1]],
  );
});

test('the cluster layout puts all of a conversation into one slot', async () => {
  await writeFlat(bench.client, talk('call-1', ['hello']));
  const keys = new RedisKeyManager({ environment: 'test', layout: 'cluster' });
  assert.equal((await newMigrator(bench.client, keys).migrate('call-1')).kind, 'migrated');
  const made = [...(await dump(bench.client, isOurs)).keys()];
  assert.equal(made.length, 5);
  for (const key of made) assert.match(key, /^rtvoice:test:(call|conversation):\{call-1\}:/);
});
