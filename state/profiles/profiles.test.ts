import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { type Leases, openLeases } from '../../test/support/leases.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { plainCodec } from '../envelope.ts';
import { type Profile, type ProfileSource, Profiles } from './profiles.ts';

let redis: TestRedis;
let bench: Leases;

before(async () => {
  redis = await startRedis();
  bench = await openLeases(redis.url);
});
after(async () => {
  await bench.close();
  await redis[Symbol.asyncDispose]();
});

function profiles(known: Record<string, Profile>) {
  const registry = createRegistry({ processMetrics: false });
  const asked: string[] = [];
  let away = false;
  const source: ProfileSource = {
    readProfile: async (userId) => {
      asked.push(userId);
      if (away) throw new Error('away');
      return known[userId];
    },
  };
  const { client, keys } = bench;
  const shared = { redis: client, keys, codec: plainCodec, clock: systemClock, log: silentLog, registry };
  const count = async (result: string) => {
    const values = (await registry.getSingleMetric('rtvoice_profile_reads_total')?.get())?.values ?? [];
    return values.find(({ labels }) => labels.result === result)?.value;
  };
  return {
    profiles: new Profiles({ ...shared, source }),
    asked,
    count,
    goAway: () => {
      away = true;
    },
  };
}

const profile = (userId: string, more: Record<string, unknown> = {}): Profile => ({ userId, callCount: 2, ...more });

/** The copy is written behind the answer. */
async function copied(userId: string): Promise<number> {
  for (;;) {
    const left = await bench.client.command<number>('PTTL', bench.keys.profileKey(userId));
    if (left > 0) return left;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('the first call asks Cosmos DB, the next one finds the copy, for a quarter of an hour', async () => {
  const { profiles: first, asked, count } = profiles({ 'u-1': profile('u-1', { plan: 'gold' }) });
  assert.deepEqual(await first.read(['u-1']), profile('u-1', { plan: 'gold' }));
  assert.ok((await copied('u-1')) <= 900_000);
  assert.deepEqual(await first.read(['u-1']), profile('u-1', { plan: 'gold' }));
  assert.deepEqual(asked, ['u-1']);
  assert.deepEqual([await count('cosmos'), await count('redis')], [1, 1]);
  await first.forget('u-1');
  await first.read(['u-1']);
  assert.deepEqual(asked, ['u-1', 'u-1']);
});

test('a caller is looked for under each pseudonym; who is nowhere is unknown', async () => {
  const { profiles: both, asked } = profiles({ 'u-old': profile('u-old') });
  assert.equal((await both.read(['u-new', 'u-old']))?.userId, 'u-old');
  assert.deepEqual(asked, ['u-new', 'u-old']);
  assert.equal(await both.read(['u-nobody']), undefined);
  assert.equal(await both.read([]), undefined);
});

test('calls that start together ask once', async () => {
  const { profiles: many, asked } = profiles({ 'u-2': profile('u-2') });
  await Promise.all(Array.from({ length: 20 }, () => many.read(['u-2'])));
  assert.deepEqual(asked, ['u-2']);
});

test('trouble with a store, or a copy that is none, is a call without a profile and never an error', async () => {
  const { profiles: troubled, goAway, count } = profiles({ 'u-3': profile('u-3') });
  await bench.client.command('SET', bench.keys.profileKey('u-3'), '{broken', 'EX', 60);
  assert.equal((await troubled.read(['u-3']))?.userId, 'u-3');
  await bench.client.command('UNLINK', bench.keys.profileKey('u-3'));
  goAway();
  assert.equal(await troubled.read(['u-3']), undefined);
  assert.equal(await count('error'), 1);
});
