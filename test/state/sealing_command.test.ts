import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { readKeyRing, writeKeyRing } from '../../security/sealing/keys_file.ts';
import { plainCodec, type RecordCodec } from '../../state/envelope.ts';
import { encodeFrame } from '../../state/spool/frames.ts';
import {
  callBy,
  INDEX_KEY,
  MASTER_KEY,
  newWorker,
  numberOf,
  type SealingBench,
  startSealing,
  words,
} from './sealing_bench.ts';
import { newCallId, startCall } from './support.ts';

let bench: SealingBench;
let env: Record<string, string>;
before(async () => {
  bench = await startSealing();
  const directory = dirname(bench.ringPath);
  const [poolFile, authority] = [join(directory, 'pool.yaml'), join(directory, 'ca.pem')];
  const pool =
    'apiVersion: rtvoice.dev/v1alpha1\nkind: VoiceWorkerPool\nmetadata:\n  name: support\nspec:\n  environment: test\n';
  await Promise.all([writeFile(poolFile, pool), writeFile(authority, bench.tls.caPem)]);
  env = {
    RTVOICE_REDIS_URL: bench.redis.url,
    RTVOICE_KEY_RING: bench.ringPath,
    RTVOICE_CALLER_ID_KEY: INDEX_KEY,
    RTVOICE_COSMOS_ENDPOINT: bench.cosmos.endpoint,
    RTVOICE_COSMOS_KEY: MASTER_KEY,
    RTVOICE_POOL_FILE: poolFile,
    NODE_EXTRA_CA_CERTS: authority,
  };
});
after(() => bench.stop());

/** One command in a process of its own. */
function run(command: 'keys' | 'verify', ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const script = `
    import { ${command} } from ${JSON.stringify(import.meta.resolve(`../../cli/${command}.ts`))};
    import { processIo } from ${JSON.stringify(import.meta.resolve('../../cli/io.ts'))};
    process.exitCode = await ${command}(${JSON.stringify(args)}, processIo);
  `;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', script],
      { env: { ...process.env, ...env } },
      (_error, out, err) => resolve({ code: child.exitCode ?? -1, out, err }),
    );
  });
}

test('a tenant key is added, callers keys are wrapped by it, and status says so from beginning to end', async () => {
  const worker = await newWorker(bench);
  const call = newCallId();
  const manager = startCall(worker.store, call);
  manager.appendToHistory('caller', 'hello');
  await manager.persist();
  await worker.drain(call);
  const before = await run('keys', 'status');
  assert.equal(before.code, 0, before.err);
  assert.match(before.out, /^redis +t1 +1 +wraps what is new$/m);
  assert.match(before.out, /^cosmos +t1 +1 +wraps what is new$/m);

  const added = await run('keys', 'add', '--ring', bench.ringPath);
  assert.equal(added.code, 0, added.err);
  const { keys, tenant } = await readKeyRing(bench.ringPath);
  assert.equal(tenant, 'acme');
  assert.equal(keys[0]?.id, 't1');
  assert.equal(keys.length, 2);
  const promoted = await run('keys', 'promote', '--ring', bench.ringPath);
  assert.equal(promoted.code, 0, promoted.err);
  assert.equal((await readKeyRing(bench.ringPath)).keys[1]?.id, 't1');
  const between = await run('keys', 'status', '--json');
  assert.equal(between.code, 1, between.err);

  const rewrapped = await run('keys', 'rewrap');
  assert.equal(rewrapped.code, 0, rewrapped.err);
  assert.match(rewrapped.out, /^cosmos +1 +0 +0$/m);
  const done = await run('keys', 'status');
  assert.equal(done.code, 0, done.err);
  assert.match(done.out, /^redis +t1 +0 +may leave/m);
  assert.equal((await (await newWorker(bench)).store.read(call)).history[0]?.text, 'hello');
});

test('a ring that is made by the command is for its owner alone', async () => {
  const path = join(dirname(bench.ringPath), 'made.json');
  const made = await run('keys', 'add', '--ring', path, '--tenant', 'shop');
  assert.equal(made.code, 0, made.err);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await readKeyRing(path)).tenant, 'shop');
  assert.equal((await run('keys', 'promote', '--ring', path)).code, 2);
});

test('no key in clear gets into a ring that a vault protects', async () => {
  const path = join(dirname(bench.ringPath), 'vault.json');
  const wrappedBy = 'https://vault.example/keys/k/1';
  await writeKeyRing(path, {
    v: 1,
    tenant: 'a',
    keys: [{ id: 'v1', wrappedBy, alg: 'RSA-OAEP-256', wrapped: 'AAAA' }],
  });
  const refused = await run('keys', 'add', '--ring', path);
  assert.equal(refused.code, 3);
  assert.equal((await readKeyRing(path)).keys.length, 1);
});

test('verify is content with what is sealed, and degraded by what is not, in every output', async () => {
  const good = await run('verify', 'sealing');
  assert.equal(good.code, 0, good.out + good.err);
  const naked = await newWorker(bench, { mode: 'Off' });
  const call = newCallId();
  const manager = startCall(naked.store, call);
  manager.appendToHistory('caller', 'words in clear');
  await manager.persist();
  const bad = await run('verify', 'sealing');
  assert.equal(bad.code, 1, bad.err);
  assert.match(bad.out, /^redis +\d+ +turn +2$/m);
  assert.ok(bad.out.includes(call));
  assert.ok(!`${bad.out}${bad.err}`.includes('words in clear') && !`${bad.out}${bad.err}`.includes('15550100'));
  const scraped = await run('verify', 'sealing', '-o', 'prometheus');
  // Session, history and turn: an empty context says nothing of anybody.
  assert.match(scraped.out, /^rtvoice_encryption_violations\{store="redis"\} 3$/m);
  assert.match(scraped.out, /^rtvoice_encryption_violations\{store="cosmos"\} 0$/m);
  assert.equal((await run('verify', 'nothing')).code, 2);
});

test('what waits in a spool is looked at too', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'rtvoice-spool-'));
  t.after(() => rm(parent, { recursive: true, force: true }));
  const worker = await newWorker(bench);
  const { call, manager } = callBy(worker, 5);
  // Finds the key of the call.
  await manager.persist();
  const frame = async (n: number, codec: RecordCodec) => {
    const [id, entryId] = [`${call}/turn-00000${n}`, `turn-00000${n}`];
    const text = await codec.seal({ kind: 'turn', id }, { v: 1, seq: n, role: 'caller', text: 'a secret', atMs: n });
    return encodeFrame({
      put: { callConnectionId: call, callRef: 'r', entryId, kind: 'turn', dedupeId: entryId, text },
    });
  };
  const folder = join(parent, 'spool-1-1-inc');
  await mkdir(folder);
  await writeFile(join(folder, '000001.spool'), await frame(1, worker.codec));
  const good = await run('verify', 'sealing', '--spool', parent, '-o', 'json');
  const spoolOf = (out: string) => (JSON.parse(out) as { store: string }[]).find(({ store }) => store === 'spool');
  assert.deepEqual(spoolOf(good.out), { store: 'spool', records: 1, violations: {}, examples: [] });
  await writeFile(join(folder, '000002.spool'), await frame(2, plainCodec));
  const bad = await run('verify', 'sealing', '--spool', parent, '-o', 'json');
  assert.equal(bad.code, 1);
  const examples = [`spool-1-1-inc/${call}/turn-000002`];
  assert.deepEqual(spoolOf(bad.out), { store: 'spool', records: 2, violations: { turn: 1 }, examples });
  const away = await run('verify', 'sealing', '--spool', join(parent, 'nowhere'));
  assert.equal(away.code, 2);
  assert.match(away.err, /there is no folder .*RTVOICE_SPOOL_DIR/);
});

test('one caller’s records are unreadable after keys erase, another’s are not, and nothing happens without --yes', async () => {
  const worker = await newWorker(bench);
  const [erased, kept] = [callBy(worker, 7), callBy(worker, 8)];
  for (const { manager, call } of [erased, kept]) {
    manager.appendToHistory('caller', `said in ${call}`);
    await manager.persist();
    await worker.drain(call);
  }
  const number = `+1 (555) 010-${numberOf(7).slice(-1)}`;
  const asked = await run('keys', 'erase', '--caller', number);
  assert.equal(asked.code, 3, asked.err);
  assert.match(asked.out, /^u-[0-9a-f]{32}: 1 keys$/m);
  assert.deepEqual(await words(bench, await newWorker(bench), erased.call), [`said in ${erased.call}`]);

  const done = await run('keys', 'erase', '--caller', number, '--yes');
  assert.equal(done.code, 0, done.err);
  assert.match(done.out, /: 1 keys erased, erasure \S+$/m);
  await assert.rejects(words(bench, await newWorker(bench), erased.call), { code: 'ERR_RECORD_KEY_ERASED' });
  assert.deepEqual(await words(bench, await newWorker(bench), kept.call), [`said in ${kept.call}`]);
  assert.doesNotMatch(asked.out + done.out + done.err, /555/);
});
