import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { readKeyRing, writeKeyRing } from '../../security/sealing/keys_file.ts';
import type { RewrapStore } from '../../state/sealing/caller_key_store.ts';
import { rewrapStore } from '../../state/sealing/rewrap.ts';
import {
  callBy,
  newWorker,
  numberOf,
  plainRing,
  ringKey,
  type SealingBench,
  type SealingWorker,
  startSealing,
  turnsOf,
  words,
} from './sealing_bench.ts';

let bench: SealingBench;
before(async () => {
  bench = await startSealing();
});
after(() => bench.stop());

const stores = (): RewrapStore[] => [bench.stores.redis, bench.stores.cosmos];
const callerOf = (n: number) => bench.blindIndex.of(numberOf(n)) ?? '';

test('a key that reaches the key store late is under the newest tenant key there', async (t) => {
  await plainRing(bench, 'l1');
  const { keys: first } = await readKeyRing(bench.ringPath);
  await bench.client.command('FLUSHALL');
  const worker = await newWorker(bench);
  bench.cosmos.faults.down = true;
  t.after(() => {
    bench.cosmos.faults.down = false;
  });
  const one = callBy(worker, 9);
  one.say('under the old key');
  await one.manager.persist();
  await writeKeyRing(bench.ringPath, { v: 1, tenant: 'acme', keys: [ringKey('l2'), ...first] });
  bench.cosmos.faults.down = false;
  const archiver = await newWorker(bench);
  await archiver.drain(one.call);
  const [stored] = (await bench.stores.cosmos.read(callerOf(9))).keys;
  assert.equal(stored?.tk, 'l2');
  await bench.client.command('FLUSHALL');
  assert.deepEqual(await words(bench, await newWorker(bench), one.call), ['under the old key']);
});

test('what Redis has lost of the keys comes from Cosmos DB, once, for all processes', async () => {
  await plainRing(bench, 'c1');
  await bench.client.command('FLUSHALL');
  const worker = await newWorker(bench);
  const one = callBy(worker, 8);
  one.say('first call');
  await one.manager.persist();
  await worker.drain(one.call);
  const { kid } = (await worker.keys.forCaller(callerOf(8))).wrapped;
  await bench.client.command('FLUSHALL');
  for (const each of [await newWorker(bench), await newWorker(bench)])
    assert.equal((await each.keys.forCaller(callerOf(8))).wrapped.kid, kid);
  for (let known: string[] = []; !known.includes(kid); )
    known = (await bench.stores.redis.read(callerOf(8))).keys.map((key) => key.kid);
  assert.ok((await bench.client.command<number>('PTTL', bench.keys.profileKey(callerOf(8), 'keys'))) > 0);
});

test('a key that was made while nobody could tell of an erasure is refused once, and the next one is good', async (t) => {
  await plainRing(bench, 'e1');
  const worker = await newWorker(bench);
  await worker.keys.erase(callerOf(7));
  // Redis has lost the mark, and Cosmos DB, which has it, is away.
  await bench.client.command('FLUSHALL');
  bench.cosmos.faults.down = true;
  t.after(() => {
    bench.cosmos.faults.down = false;
  });
  const unknowing = await worker.keys.forCaller(callerOf(7));
  assert.equal(unknowing.wrapped.since, undefined);
  bench.cosmos.faults.down = false;
  assert.equal(await worker.keys.settle(unknowing.wrapped), 'erased');
  for (const each of [worker, await newWorker(bench)]) {
    const next = await each.keys.forCaller(callerOf(7));
    assert.notEqual(next.wrapped.kid, unknowing.wrapped.kid);
    assert.equal(await each.keys.settle(next.wrapped), 'stored');
  }
});

test('rotation of the tenant key under load loses nothing, and the old key can go', async () => {
  await plainRing(bench, 'r1');
  const { keys: first } = await readKeyRing(bench.ringPath);
  await bench.client.command('FLUSHALL');
  const workers = await Promise.all([newWorker(bench), newWorker(bench)]);
  const calls = Array.from({ length: 8 }, (_, n) => callBy(workers[n % 2] ?? workers[0], n));
  let rotated = false;
  const load = async (each: (typeof calls)[number], worker: SealingWorker) => {
    let count = 0;
    // Goes on until the rotation is over, and a little further.
    for (let more = 3; more > 0; more -= rotated ? 1 : 0) {
      each.say(`words ${count++}`);
      await each.manager.persist();
      await worker.drain(each.call);
      await setImmediate();
    }
    return count;
  };
  const running = calls.map((each, n) => load(each, workers[n % 2] ?? workers[0]));
  // Every caller has a key under the old one by now.
  await Promise.all(calls.map(({ call }) => seen(() => turnsOf(bench, call).length > 0)));
  await writeKeyRing(bench.ringPath, { v: 1, tenant: 'acme', keys: [ringKey('r2'), ...first] });
  const { tenantKeys } = await newWorker(bench);
  for (const store of stores()) assert.ok((await rewrapStore(store, tenantKeys)).rewrapped >= calls.length, store.name);
  rotated = true;
  const counts = await Promise.all(running);
  for (const store of stores()) await rewrapStore(store, tenantKeys);
  for (const store of stores()) assert.equal((await store.counts()).get('r1') ?? 0, 0, store.name);
  const ring = await readKeyRing(bench.ringPath);
  await writeKeyRing(bench.ringPath, { ...ring, keys: ring.keys.filter(({ id }) => id === 'r2') });
  const fresh = await newWorker(bench);
  for (const [n, { call }] of calls.entries()) {
    const said = (await words(bench, fresh, call)).map(String).sort();
    assert.deepEqual(said, Array.from({ length: counts[n] ?? 0 }, (_, at) => `words ${at}`).sort(), call);
  }
});

test('a wrap that was cut short goes on where it ended, and leaves alone what was erased or wrapped meanwhile', async () => {
  await plainRing(bench, 's1');
  const { keys: first } = await readKeyRing(bench.ringPath);
  const before = await newWorker(bench);
  for (const store of stores()) for (let n = 0; n < 6; n++) await putKey(store, before, n);
  await writeKeyRing(bench.ringPath, { v: 1, tenant: 'acme', keys: [ringKey('s2'), ...first] });
  const { tenantKeys } = await newWorker(bench);
  for (const store of stores()) {
    const counted = async () => (await store.counts()).get('s1') ?? 0;
    const total = await counted();
    assert.ok(total >= 6);
    const stop = new AbortController();
    const cut = await rewrapStore(store, tenantKeys, {
      signal: stop.signal,
      onProgress: ({ rewrapped }) => rewrapped === 2 && stop.abort(),
    });
    assert.equal(cut.rewrapped, 2);
    assert.equal(await counted(), total - 2);
    const rest = await rewrapStore(store, tenantKeys);
    // Keys of earlier tests stand under tenant keys that this ring has not: they stay as they are, and are told.
    assert.equal(rest.rewrapped, total - 2);
    assert.ok(rest.failures.every(({ code }) => code === 'ERR_KEYS_UNAVAILABLE'));
    assert.equal(await counted(), 0);
    const [key] = (await bench.stores[store.name].read(callerOf(0))).keys.filter(({ tk }) => tk === 's2');
    assert.ok(key);
    assert.equal(await store.replace({ ...key, w: 'x' }, key), false);
    await bench.stores[store.name].erase(callerOf(0), 'e1');
    assert.equal(await store.replace(key, key), false);
    assert.deepEqual((await bench.stores[store.name].read(callerOf(0))).keys, []);
    assert.equal(await bench.stores[store.name].put(key), 'erased');
    assert.equal(await bench.stores[store.name].put({ ...key, since: 'e1' }), 'stored');
  }
});

/** The load turns the event loop; this watches what it does between its steps. */
async function seen(done: () => boolean): Promise<void> {
  while (!done()) await setImmediate();
}

/** A key of caller `n` in one store. */
async function putKey(store: RewrapStore, worker: SealingWorker, n: number): Promise<void> {
  const { wrapped } = await worker.keys.forCaller(callerOf(n));
  const { since: _since, ...key } = wrapped;
  const { erasure } = await bench.stores[store.name].read(callerOf(n));
  assert.equal(await bench.stores[store.name].put(erasure === undefined ? key : { ...key, since: erasure }), 'stored');
}
