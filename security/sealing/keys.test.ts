import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLog } from '../../platform/log.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { TenantKeyRing } from './keys.ts';
import { type KeyRing, type RingEntry, readKeyRing, writeKeyRing } from './keys_file.ts';
import { callerIdOf, makeCallerKey, rewrapCallerKey, unwrapCallerKey } from './wrapped_key.ts';

const plain = (id: string): RingEntry => ({ id, key: randomBytes(32).toString('base64url') });
const wrapped = (id: string, text = 'wrapped'): RingEntry => ({
  id,
  wrappedBy: 'https://vault.example/keys/k/1',
  alg: 'RSA-OAEP-256',
  wrapped: Buffer.from(text).toString('base64url'),
});
const ring = (...keys: RingEntry[]): KeyRing => ({ v: 1, tenant: 'acme', keys });

async function ringFile(t: TestContext, value: KeyRing): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rtvoice-ring-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'ring.json');
  await writeKeyRing(path, value);
  return path;
}

/** What stands in for a vault's wire: a key by the text that it wraps, or trouble. */
function vaultOf(material: Buffer) {
  const vault = { asked: 0, trouble: undefined as Error | undefined };
  const unwrapper = {
    unwrap: async () => {
      vault.asked += 1;
      if (vault.trouble) throw vault.trouble;
      return Buffer.from(material);
    },
  };
  return { vault, unwrapper };
}

test('a ring comes back as it was written, for its owner alone', async (t) => {
  const value = ring(plain('t2'), wrapped('t1'));
  const path = await ringFile(t, value);
  assert.deepEqual(await readKeyRing(path), value);
  await chmod(path, 0o640);
  await assert.rejects(readKeyRing(path), { code: 'ERR_KEY_RING_INVALID', message: /mode 640/ });
  await writeKeyRing(path, ring(wrapped('t1')));
  await chmod(path, 0o444);
  assert.equal((await readKeyRing(path)).keys.length, 1);
});

test('a ring that is not one is named, without what stands in it', async (t) => {
  const path = await ringFile(t, ring(plain('t1')));
  const text = await readFile(path, 'utf8');
  const key = /"key": "([^"]+)"/.exec(text)?.[1] ?? '';
  const cases = [text.slice(0, -5), '{"v":1}', text.replace(key, `${key}A`), text.replace('"id"', '"name"')];
  for (const each of cases) {
    await writeFile(path, each);
    await assert.rejects(readKeyRing(path), (error: Error & { code: string }) => {
      assert.equal(error.code, 'ERR_KEY_RING_INVALID');
      return !`${error.message} ${String(error.cause)}`.includes(key.slice(0, 10));
    });
  }
  await assert.rejects(readKeyRing(`${path}.none`), { code: 'ERR_KEY_RING_INVALID' });
});

test('the first key wraps and every key unwraps; a changed file is read again and a broken one is not taken', async (t) => {
  const [one, two] = [plain('t1'), plain('t2')];
  const path = await ringFile(t, ring(one));
  const clock = new ManualClock();
  const keys = await TenantKeyRing.open({ path, clock, log: silentLog, recheckMs: 1_000 });
  const held = makeCallerKey(await keys.newest(), { callerId: 'u-1', suffix: 'a', tenant: 'acme' });
  assert.equal(held.wrapped.tk, 't1');
  await writeKeyRing(path, ring(two, one));
  assert.equal((await keys.newest()).id, 't1');
  clock.advance(1_000);
  assert.equal((await keys.newest()).id, 't2');
  assert.equal(unwrapCallerKey(await keys.byId('t1'), held.wrapped).kid, 'u-1.a');
  // Told of a key by another process's record: the file is looked at again at once.
  const three = plain('t3');
  await writeKeyRing(path, ring(two, one, three));
  clock.advance(250);
  assert.equal((await keys.byId('t3')).id, 't3');
  await writeFile(path, '{');
  clock.advance(1_000);
  assert.equal((await keys.newest()).id, 't2');
  await assert.rejects(keys.byId('t9'), { code: 'ERR_KEYS_UNAVAILABLE' });
});

test('a caller key unwraps for its id and tenant alone, and wrapped anew it is the same key', async (t) => {
  const path = await ringFile(t, ring(plain('t2'), plain('t1')));
  const keys = await TenantKeyRing.open({ path, clock: new ManualClock(), log: silentLog });
  const [newest, old] = [await keys.newest(), await keys.byId('t1')];
  const held = makeCallerKey(old, { callerId: 'u-1', suffix: 'a', tenant: 'acme', since: 'e1' });
  const anew = rewrapCallerKey(old, newest, held.wrapped);
  assert.deepEqual([anew.kid, anew.tk, anew.since], ['u-1.a', 't2', 'e1']);
  const data = Buffer.from('record');
  const { nonce, sealed } = held.key.seal(data, Buffer.from('words'));
  assert.equal(unwrapCallerKey(newest, anew).open(data, nonce, sealed)?.toString(), 'words');
  const code = { code: 'ERR_RECORD_NOT_AUTHENTIC' };
  assert.throws(() => unwrapCallerKey(old, anew), code);
  assert.throws(() => unwrapCallerKey(newest, { ...anew, kid: 'u-2.a' }), code);
  assert.throws(() => unwrapCallerKey(newest, { ...anew, tn: 'other' }), code);
  assert.throws(() => unwrapCallerKey(newest, { ...anew, w: '' }), code);
});

test('a key id gives its caller back, and what could be no pseudonym gets no key', async (t) => {
  const path = await ringFile(t, ring(plain('t1')));
  const tenantKey = await (await TenantKeyRing.open({ path, clock: new ManualClock(), log: silentLog })).newest();
  const make = (callerId: string) => makeCallerKey(tenantKey, { callerId, suffix: 'a1', tenant: 'acme' });
  for (const callerId of ['u-1', 'first.last', 'h-0a']) assert.equal(callerIdOf(make(callerId).wrapped.kid), callerId);
  for (const callerId of ['4:+15550100', '', 'a/b']) assert.throws(() => make(callerId), RangeError);
});

test('the vault is asked once for many, again from half of the time on, and not at all right after a failure', async (t) => {
  const path = await ringFile(t, ring(wrapped('t1')));
  const clock = new ManualClock();
  const { vault, unwrapper } = vaultOf(randomBytes(32));
  const keys = await TenantKeyRing.open({
    path,
    clock,
    log: silentLog,
    unwrapper,
    ttlMs: 10_000,
    failureCooldownMs: 500,
  });
  await Promise.all(Array.from({ length: 20 }, () => keys.newest()));
  assert.equal(vault.asked, 1);
  clock.advance(4_000);
  await keys.newest();
  assert.equal(vault.asked, 1);
  vault.trouble = new Error('away');
  clock.advance(2_000);
  // In its second half: served from memory, asked in the background, and not once a call.
  for (let n = 0; n < 5; n++) await keys.newest();
  assert.equal(vault.asked, 2);
  clock.advance(4_000);
  await assert.rejects(keys.newest(), { code: 'ERR_KEYS_UNAVAILABLE' });
  assert.equal(vault.asked, 3);
  await assert.rejects(keys.newest(), { code: 'ERR_KEYS_UNAVAILABLE' });
  assert.equal(vault.asked, 3);
  vault.trouble = undefined;
  clock.advance(500);
  await keys.newest();
  assert.equal(vault.asked, 4);
});
