import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createKeyVault, type KeyVault } from '../../security/sealing/key_vault.ts';
import { readKeyRing, writeKeyRing } from '../../security/sealing/keys_file.ts';
import { type KeyVaultSimulator, startKeyVault } from '../../simulators/keyvault/server.ts';
import {
  callBy,
  everythingIn,
  newWorker,
  numberOf,
  plainRing,
  type SealingBench,
  type SealingWorker,
  startSealing,
  words,
} from './sealing_bench.ts';

const TTL_MS = 600_000;
let bench: SealingBench;
let vault: KeyVaultSimulator;
let keyVault: KeyVault;
before(async () => {
  bench = await startSealing();
  vault = await startKeyVault({
    tls: bench.tls,
    verifyToken: (token) => token === 'good',
    authorization: 'https://login.example/tenant',
  });
  await vault.createKey('rtvoice');
  const credential = { getToken: async () => ({ token: 'good', expiresOnTimestamp: Date.now() + 3_600_000 }) };
  keyVault = createKeyVault({ vaultUrl: vault.url, credential, caPem: bench.tls.caPem });
});
after(async () => {
  await vault.stop();
  await bench.stop();
});

/** Puts the ring under the vault's newest key version. */
async function vaultRing(): Promise<string> {
  const wrapped = await keyVault.wrap('rtvoice', randomBytes(32));
  await writeKeyRing(bench.ringPath, { v: 1, tenant: 'acme', keys: [{ id: 'v1', ...wrapped }] });
  return wrapped.wrappedBy;
}

const callOf = (worker: SealingWorker) => callBy(worker, 0);

test('while Key Vault is away live calls go on, and new ones until the cached key ends; then nothing is written rather than in clear', async (t) => {
  await vaultRing();
  t.after(() => {
    vault.faults.down = false;
  });
  const clock = new ManualClock();
  const worker = await newWorker(bench, { clock, unwrapper: keyVault, ttlMs: TTL_MS });
  const live = callOf(worker);
  live.say('before');
  await live.manager.persist();
  const asked = vault.requests.get('POST unwrapkey');
  vault.faults.down = true;

  live.say('vault away');
  await live.manager.persist();
  const cached = callOf(worker);
  cached.say('new call, cached key');
  await cached.manager.persist();
  clock.advance(TTL_MS);
  live.say('long after');
  await live.manager.persist();
  assert.equal(vault.requests.get('POST unwrapkey'), asked);

  const refused = callOf(worker);
  refused.say('must not be written in clear');
  await assert.rejects(refused.manager.persist(), { code: 'ERR_KEYS_UNAVAILABLE' });
  assert.equal(refused.manager.dirty, true);
  const stranger = callOf(await newWorker(bench, { unwrapper: keyVault }));
  await assert.rejects(stranger.manager.persist(), { code: 'ERR_KEYS_UNAVAILABLE' });
  const inRedis = await everythingIn(bench.client);
  for (const call of [refused.call, stranger.call]) assert.ok(!inRedis.includes(call));
  assert.ok(!inRedis.includes('in clear'));
  assert.ok((await worker.counted('keyUnavailable')) >= 1);

  vault.faults.down = false;
  await refused.manager.persist();
  await worker.drain(refused.call);
  assert.deepEqual(await words(bench, worker, refused.call), ['must not be written in clear']);
});

test('a throttled vault is asked again as it says, and a disabled key opens nothing until it is enabled', async (t) => {
  const id = await vaultRing();
  t.after(() => vault.setEnabled('rtvoice', true));
  vault.faults.retryAfterSeconds = 0;
  vault.faults.throttle = 1;
  const worker = await newWorker(bench, { unwrapper: keyVault });
  const one = callOf(worker);
  await one.manager.persist();
  assert.equal(vault.faults.throttle, 0);

  vault.setEnabled('rtvoice', false, id.split('/').at(-1));
  const fresh = await newWorker(bench, { unwrapper: keyVault });
  await assert.rejects(fresh.store.read(one.call), { code: 'ERR_KEYS_UNAVAILABLE' });
  vault.setEnabled('rtvoice', true, id.split('/').at(-1));
  assert.equal((await fresh.store.read(one.call)).session?.from, numberOf(0));
});

test('a new version of the vault key wraps what is new, and what the old one has wrapped still opens', async () => {
  const before = await vaultRing();
  const worker = await newWorker(bench, { unwrapper: keyVault });
  const old = callOf(worker);
  await old.manager.persist();
  await vault.createKey('rtvoice');
  const wrapped = await keyVault.wrap('rtvoice', randomBytes(32));
  assert.notEqual(wrapped.wrappedBy, before);
  const ring = await readKeyRing(bench.ringPath);
  await writeKeyRing(bench.ringPath, { ...ring, keys: [{ id: 'v2', ...wrapped }, ...ring.keys] });
  const fresh = await newWorker(bench, { unwrapper: keyVault });
  assert.equal((await fresh.tenantKeys.newest()).id, 'v2');
  assert.equal((await fresh.store.read(old.call)).session?.from, numberOf(0));
});

test('a vault key of another vault is never asked for with our token', async () => {
  const foreign = {
    id: 'x',
    wrappedBy: 'https://evil.example/keys/k/1',
    alg: 'RSA-OAEP-256',
    wrapped: 'AAAA',
  } as const;
  await assert.rejects(keyVault.unwrap(foreign), { code: 'ERR_KEY_RING_INVALID' });
});

test('a call gets a key while no store answers, and its records are readable once the stores are back', async (t) => {
  await plainRing(bench, 't1');
  const worker = await newWorker(bench, { waitMs: 20 });
  const unfreeze = () => {
    bench.redis.thaw();
    bench.cosmos.faults.frozen = false;
  };
  t.after(unfreeze);
  bench.redis.freeze();
  bench.cosmos.faults.frozen = true;
  const one = callOf(worker);
  await worker.codec.prepare(one.call, numberOf(0));
  const made = (await worker.registry.getSingleMetric('rtvoice_sealing_caller_keys_total')?.get())?.values;
  assert.deepEqual(
    made?.map(({ labels, value }) => [labels.source, value]),
    [['madeUnanswered', 1]],
  );
  unfreeze();
  if (!bench.client.available) await once(bench.client, 'up');
  one.say('said while all was away');
  await one.manager.persist();
  await worker.drain(one.call);
  assert.deepEqual(await words(bench, await newWorker(bench), one.call), ['said while all was away']);
});
