import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { newCallRef } from '../../contract/ids.ts';
import { systemRandom } from '../../platform/random.ts';
import { affinityOf, heartbeatOf, openLeases, ringOf } from '../../test/support/leases.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';

describe('explanation of placements', () => {
  let redis: TestRedis;
  let leases: Awaited<ReturnType<typeof openLeases>>;
  before(async () => {
    redis = await startRedis();
    leases = await openLeases(redis.url);
  });
  after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });
  beforeEach(() => leases.begin());

  const place = (strategy: 'Spread' | 'Pack' = 'Spread', exclude: string[] = []) =>
    leases.table.place({
      ring: ringOf(newCallRef(systemRandom)),
      newCallRef: newCallRef(systemRandom),
      strategy,
      exclude,
    });
  const why = (rows: { worker: string; refusedBecause: string | undefined }[]) =>
    rows.map(({ worker, refusedBecause }) => `${worker} ${refusedBecause ?? 'open'}`);

  it('names the next worker first, and why each other is passed over', async () => {
    await leases.worker('demo-full', 1);
    await place();
    await leases.worker('demo-free', 4);
    await leases.worker('demo-half', 4);
    await place('Spread', ['demo-free']);
    await leases.table.writeAffinity({ ...affinityOf('demo-cold', 4), state: 'cordoned' });
    await leases.table.beat(heartbeatOf('demo-cold', 4, 'i'));
    await leases.table.writeAffinity(affinityOf('demo-shy', 4));
    await leases.table.beat({ ...heartbeatOf('demo-shy', 4, 'i'), admits: false });
    await leases.table.writeAffinity(affinityOf('demo-mute', 4));
    const spread = await leases.table.explainPlacement('Spread');
    assert.deepEqual(why(spread.candidates), [
      'demo-free open',
      'demo-half open',
      'demo-cold notAdmitted',
      'demo-mute noHeartbeat',
      'demo-shy refusesItself',
      'demo-full full',
    ]);
    const placed = await place();
    assert.equal(placed.kind === 'placed' && placed.lease.worker, spread.candidates[0]?.worker, 'and it is true');
    assert.equal((await leases.table.explainPlacement('Pack')).candidates[0]?.load, 1);
  });

  it('keeps what a refused placement had to choose from, once a second, with the number of all', async () => {
    await leases.worker('demo-a', 1);
    await place();
    for (let i = 0; i < 5; i++) assert.equal((await place()).kind, 'full');
    const { refusals } = await leases.table.explainPlacement('Spread');
    assert.equal(refusals.length, 1);
    assert.deepEqual(why(refusals[0]?.candidates ?? []), ['demo-a full']);
    assert.equal(refusals[0]?.refusedTotal, 1);
    await leases.passed((refusals[0]?.atMs ?? 0) + 1_000);
    assert.equal((await place('Spread', ['demo-a'])).kind, 'full');
    const [newest] = (await leases.table.explainPlacement('Spread')).refusals;
    assert.deepEqual([newest?.refusedTotal, ...why(newest?.candidates ?? [])], [6, 'demo-a excluded']);
  });

  it('writes only keys that expire', async () => {
    await place();
    for (const [key, ttl] of await leases.ttls()) assert.ok(ttl > 0, key);
  });
});
