import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { backup, restore } from '../../cli/backup.ts';
import { systemClock } from '../../platform/clock.ts';
import { writeBackup } from '../../state/backup/backup.ts';
import { restoreBackup } from '../../state/backup/restore.ts';
import { callKeys } from '../../state/calls/keys.ts';
import { RedisCallStore } from '../../state/calls/store.ts';
import { CALL_TTLS } from '../../state/calls/ttls.ts';
import { type Leases, openLeases, placed, ringOf } from '../support/leases.ts';
import { startRedis } from '../support/redis.ts';
import { loaded, startCall } from './support.ts';

async function open(t: TestContext) {
  const redis = await startRedis();
  const leases = await openLeases(redis.url);
  t.after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });
  await leases.begin();
  await leases.worker('demo-aaaaa', 8);
  const store = new RedisCallStore({ redis: leases.client, keys: callKeys(leases.keys), ttls: CALL_TTLS });
  return { redis, leases, store };
}

async function newFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-backup-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'fleet.backup');
}

const options = ({ client, keys, table }: Leases, path: string) => ({
  redis: client,
  keys,
  path,
  clock: systemClock,
  withCache: false,
  leases: () => table,
});

test('the drill: everything a call said survives the loss of Redis, and fences go on above every old one', async (t) => {
  const { redis, leases, store } = await open(t);
  const path = await newFile(t);
  const lease = placed(await leases.table.place({ ring: ringOf('1'), newCallRef: 'call00000001', strategy: 'Spread' }));
  await leases.table.answered({ ...lease, callConnectionId: 'call-1' });
  const call = startCall(store, 'call-1', lease.fence);
  call.updateContext({ table: 4 });
  for (const text of ['one', 'two', 'three']) call.appendToHistory('caller', text);
  await call.persist();
  await leases.client.command('SET', leases.keys.authKey('call-1'), '{"pin":true}', 'PX', 600_000);
  await leases.client.command('SET', leases.keys.ttsKey('0a'), 'audio', 'PX', 600_000);
  const { entries } = await writeBackup(options(leases, path));
  assert.equal((await stat(path)).mode & 0o777, 0o600);

  await redis.flush();
  await leases.table.confirmRecovery(1);
  const done = await restoreBackup({ ...options(leases, path), merge: false });
  // The pool and its call are entries too.
  assert.deepEqual([done.keys, done.kept, done.unsentCalls, done.pools], [entries - 2, 0, 1, ['local.demo']]);
  assert.equal(await leases.client.command('EXISTS', leases.keys.ttsKey('0a')), 0, 'speech can be made again');
  assert.equal(await leases.client.command('GET', leases.keys.authKey('call-1')), '{"pin":true}');

  const { history, context, unarchived } = await store.read('call-1');
  assert.deepEqual(
    history.map(({ text }) => text),
    ['one', 'two', 'three'],
  );
  assert.deepEqual([context, unarchived.length], [{ table: 4 }, 3]);
  assert.deepEqual(
    (await leases.table.unsent(10)).map(({ callRef, callConnectionId }) => [callRef, callConnectionId]),
    [['call00000001', 'call-1']],
  );
  for (const [key, left] of await leases.ttls()) assert.ok(left > 0, key);

  // Its owner was alive all the time, and knows more than the backup.
  call.appendToHistory('caller', 'four');
  await call.persist({ full: true });
  assert.equal((await loaded(store, 'call-1', done.fenceFloor + 1)).history.length, 4);

  await leases.worker('demo-aaaaa', 8, 'demo-aaaaa-2');
  const next = placed(await leases.table.place({ ring: ringOf('2'), newCallRef: 'call00000002', strategy: 'Spread' }));
  assert.ok(next.fence > 1_000_000, `fence ${next.fence}`);
  assert.equal(next.fence, done.fenceFloor + 1);
});

test('a call that is written during the backup is in it as it was at one moment', async (t) => {
  const { redis, leases, store } = await open(t);
  const path = await newFile(t);
  const calls = Array.from({ length: 20 }, (_, n) => startCall(store, `call-${n}`));
  let stop = false;
  const writing = Promise.all(
    calls.map(async (call) => {
      while (!stop) {
        call.appendToHistory('caller', 'word');
        await call.persist();
      }
    }),
  );
  for (let n = 0; n < 5; n++) await writeBackup(options(leases, path));
  stop = true;
  await writing;
  await redis.flush();
  await restoreBackup({ ...options(leases, path), merge: false });
  let turns = 0;
  for (const { session } of calls) {
    const read = await store.read(session.callConnectionId);
    if (!read.session) continue;
    turns += read.history.length;
    assert.equal(read.session.nextSeq - 1, read.history.at(-1)?.seq);
    assert.equal(read.unarchived.at(-1)?.id, `turn-${String(read.session.nextSeq - 1).padStart(6, '0')}`);
  }
  assert.ok(turns > 0);
});

test('it refuses a Redis with records, and with --merge keeps them', async (t) => {
  const { leases, store } = await open(t);
  const path = await newFile(t);
  const call = startCall(store, 'call-1');
  call.appendToHistory('caller', 'old');
  await call.persist();
  await writeBackup(options(leases, path));
  call.appendToHistory('caller', 'new');
  await call.persist();
  await leases.client.command('UNLINK', leases.keys.conversationKey('call-1', 'context'));
  await assert.rejects(restoreBackup({ ...options(leases, path), merge: false }), {
    code: 'ERR_RESTORE_NOT_EMPTY',
  });
  const done = await restoreBackup({ ...options(leases, path), merge: true });
  assert.ok(done.kept > 3);
  assert.equal((await store.read('call-1')).history.length, 2);
  assert.equal(await leases.client.command('EXISTS', leases.keys.conversationKey('call-1', 'context')), 1);
});

test('a backup that is cut, changed or of another fleet restores nothing', async (t) => {
  const { redis, leases, store } = await open(t);
  const path = await newFile(t);
  const call = startCall(store, 'call-1');
  await call.persist();
  await writeBackup(options(leases, path));
  await redis.flush();
  const whole = await readFile(path);
  const lines = gunzipSync(whole).toString().trimEnd().split('\n');
  const bad: [string, Buffer | string[], RegExp][] = [
    ['cut in its bytes', whole.subarray(0, whole.length - 40), /ERR|Z_BUF|end/],
    ['without its last line', lines.slice(0, -1), /without its last line/],
    ['without a key', [...lines.slice(0, 1), ...lines.slice(2)], /changed, added or lost/],
    ['with a key twice', [...lines.slice(0, 2), ...lines.slice(1)], /changed, added or lost/],
    ['with more behind', [...lines, lines[1] ?? ''], /follows the end/],
    ['no backup', ['{"v":1}'], /no backup/],
    ['no JSON', ['words'], /line 1: not JSON/],
    ['empty', [], /without its last line/],
  ];
  for (const [name, content, message] of bad) {
    await writeFile(path, Array.isArray(content) ? gzipSync(content.map((line) => `${line}\n`).join('')) : content);
    const restoring = restoreBackup({ ...options(leases, path), merge: false });
    await assert.rejects(restoring, { code: 'ERR_BACKUP_UNREADABLE', message }, name);
    assert.equal(await leases.client.command('DBSIZE'), 0, name);
  }
  await writeFile(path, whole);
  const other = await openLeases(redis.url, {}, 'cluster');
  t.after(() => other.close());
  await assert.rejects(restoreBackup({ ...options(other, path), merge: false }), {
    code: 'ERR_BACKUP_OF_ANOTHER',
    message: /layout standalone, here cluster/,
  });
  await assert.rejects(restoreBackup({ ...options(leases, `${path}.none`), merge: false }), {
    code: 'ERR_BACKUP_UNREADABLE',
    message: /ENOENT/,
  });
});

test('the commands do the same, and say what they did', async (t) => {
  const { redis, store } = await open(t);
  const path = await newFile(t);
  await startCall(store, 'call-1').persist();
  const env = { RTVOICE_REDIS_URL: redis.url, RTVOICE_POOL_FILE: `${path}.yaml` };
  const spec = 'spec: {environment: test, acs: {endpoint: "https://acs.invalid"}}';
  await writeFile(
    env.RTVOICE_POOL_FILE,
    `apiVersion: rtvoice.dev/v1alpha1\nkind: VoiceWorkerPool\nmetadata: {name: demo}\n${spec}\n`,
  );
  let out = '';
  const io = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      out += text;
    },
    isTerminal: false,
  };
  assert.equal(await backup([path, '--json'], io as never, env), 0);
  const { entries } = JSON.parse(out) as { entries: number };
  assert.equal(entries, 4, 'fence, session and context of the call, and its pool');
  await redis.flush();
  out = '';
  assert.equal(await restore([path], io as never, env), 0);
  assert.deepEqual(out.trimEnd().split('\n'), [
    '3 keys were restored, 0 were there already',
    '0 calls with records to archive were handed to the archivers',
    'new calls of local.demo get fences above 1000001',
  ]);
  assert.equal(await backup([], io as never, env), 2);
  assert.deepEqual(await store.read('call-1').then(({ session }) => session?.callConnectionId), 'call-1');
});
