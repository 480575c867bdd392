import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { migrate } from '../../cli/migrate.ts';
import { writeKeyRing } from '../../security/sealing/keys_file.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import type { RedisClient } from '../../state/redis/client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { dump, flushed, migratingStore, newMigrator, writeFlat } from './legacy_support.ts';
import { everythingIn } from './sealing_bench.ts';
import { newClient, newStore, ttls } from './support.ts';

let redis: TestRedis;
let client: RedisClient;
let directory: string;
let env: Record<string, string>;

before(async () => {
  redis = await startRedis();
  client = newClient(redis, 'patient');
  await client.ready();
  directory = await mkdtemp(join(tmpdir(), 'rtvoice-migrate-'));
  const file = join(directory, 'pool.json');
  const metadata = { name: 'demo' };
  const pool = { apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool', metadata, spec: { environment: 'test' } };
  await writeFile(file, JSON.stringify(pool));
  env = { RTVOICE_REDIS_URL: redis.url, RTVOICE_POOL_FILE: file, RTVOICE_LEGACY_GRACE_SECONDS: '7200' };
});
after(async () => {
  await client.close();
  await redis[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(() => flushed(client));

interface Told {
  counts: Record<string, number>;
  conversations: { id: string; state: string; faults: { key: string; code: string }[] }[];
}

async function run(...args: string[]): Promise<{ code: number; out: string }> {
  const said: string[] = [];
  const io = { out: (text: string) => void said.push(text), err: (text: string) => assert.fail(text), colour: false };
  return { code: await migrate(args, io, env), out: said.join('') };
}

async function told(...args: string[]): Promise<{ code: number; told: Told }> {
  const { code, out } = await run('--json', ...args);
  return { code, told: JSON.parse(out) as Told };
}

async function write(count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const chat_history = JSON.stringify({ Desk: [{ role: 'user', content: `secret ${at}` }] });
    await writeFlat(client, {
      id: `call-${at}`,
      keys: [{ key: `session:call-${at}`, hash: { chat_history, corememory: '{}' } }],
    });
  }
}

test('a dry run changes nothing, a run moves all, a second one nothing more', async () => {
  await write(3);
  const before = await dump(client);
  const planned = await told('--dry-run');
  assert.deepEqual([planned.code, planned.told.counts], [0, { ready: 3 }]);
  assert.deepEqual(await dump(client), before);
  for (const [key, seconds] of await ttls(client)) assert.equal(seconds, -1, key);

  const done = await told();
  assert.deepEqual([done.code, done.told.counts], [0, { migrated: 3 }]);
  for (const [key, seconds] of await ttls(client)) {
    assert.ok(seconds > 0, `${key} has no TTL`);
    if (key.startsWith('session:')) assert.ok(seconds <= 7_200 && seconds > 7_000, `${key}: ${seconds} s`);
  }
  const after = await dump(client);
  const again = await run();
  assert.equal(again.code, 0);
  assert.match(again.out, /^call-1 +done +threads +1 +\d+ +1$/m);
  assert.doesNotMatch(again.out, /secret/);
  assert.deepEqual(await dump(client), after);
  const keys = new RedisKeyManager({ environment: 'test' });
  const call = await migratingStore(newStore(client, keys), newMigrator(client, keys)).read('call-2');
  assert.deepEqual(
    call.history.map(({ text }) => text),
    ['secret 2'],
  );
});

test('what cannot be read is listed by key and reason, ends with 1, and the others are moved over', async () => {
  await write(2);
  await client.command('SET', 'session:call-8', 'secret');
  await client.command('HSET', 'session:call-9', 'chat_history', 'secret {');
  const { code, told: answer } = await told();
  assert.deepEqual([code, answer.counts], [1, { migrated: 2, unreadable: 2 }]);
  const faults = answer.conversations.flatMap(({ faults: each }) =>
    each.map(({ key, code: name }) => `${key} ${name}`),
  );
  assert.deepEqual(faults.sort(), ['session:call-8 ERR_LEGACY_UNREADABLE', 'session:call-9 ERR_LEGACY_UNREADABLE']);
  assert.doesNotMatch(JSON.stringify(answer), /secret/);
  assert.equal((await run()).code, 1);
});

test('the flat keys may stand on another server', async (t) => {
  const other = await startRedis();
  t.after(() => other[Symbol.asyncDispose]());
  const target = newClient(other, 'patient');
  t.after(() => target.close());
  await target.ready();
  await write(2);
  env = { ...env, RTVOICE_REDIS_URL: other.url, RTVOICE_LEGACY_REDIS_URL: redis.url };
  t.after(() => {
    const { RTVOICE_LEGACY_REDIS_URL: _, ...rest } = env;
    env = { ...rest, RTVOICE_REDIS_URL: redis.url };
  });
  assert.deepEqual((await told('--limit', '1', '--rate', '50')).told.counts, { migrated: 1 });
  assert.deepEqual((await told()).told.counts.migrated, 1);
  assert.deepEqual([...(await ttls(client)).keys()].sort(), ['session:call-0', 'session:call-1']);
  assert.equal([...(await ttls(target)).keys()].filter((key) => key.endsWith(':history')).length, 2);
});

test('with a key ring everything is sealed as the fleet seals it', async () => {
  await write(2);
  const ring = join(directory, 'ring.json');
  const key = randomBytes(32).toString('base64url');
  await writeKeyRing(ring, { v: 1, tenant: 'acme', keys: [{ id: 't1', key }] });
  const sealed = {
    ...{ RTVOICE_KEY_RING: ring, RTVOICE_SEALING_MODE: 'On', RTVOICE_CALLER_ID_KEY: 'a key of the blind index' },
  };
  const before = env;
  env = { ...env, ...sealed };
  try {
    assert.deepEqual(await counts(), { migrated: 2 });
    await client.command('DEL', 'session:call-0', 'session:call-1');
    assert.doesNotMatch(await everythingIn(client), /secret/);
  } finally {
    env = before;
  }
});

async function counts(): Promise<Record<string, number>> {
  return (await told()).told.counts;
}
