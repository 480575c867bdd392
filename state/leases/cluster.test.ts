import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { callRefOf, heldOf, type Leases, openLeases, placed, ringOf } from '../../test/support/leases.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { RedisKeyManager } from '../keys/key_manager.ts';
import { pinLayout } from '../keys/layout_marker.ts';

/** A server in cluster mode refuses a script whose keys are in two slots, or that touches a key it did not declare. */
describe('on a server with slots', () => {
  let redis: TestRedis;
  let leases: Leases;
  before(async () => {
    redis = await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no'] });
    leases = await openLeases(redis.url, { unheldAfterMs: 0 }, 'cluster');
    await leases.client.command('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    while (!(await leases.client.command<string>('CLUSTER', 'INFO')).includes('cluster_state:ok')) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });

  it('runs every script within the pool’s slot, with declared keys only', async () => {
    const { table } = leases;
    await leases.begin();
    await leases.worker('w-a', 1);
    const place = (id: string, more: object = {}) =>
      table.place({ ring: ringOf(id), newCallRef: callRefOf(id), strategy: 'Pack', ...more });
    const first = placed(await place('1'));
    assert.equal((await place('2')).kind, 'full');
    await leases.worker('w-b', 2);
    const replaces = { callRef: first.callRef, fence: 1 };
    const lease = placed(await place('1', { exclude: ['w-a'], replaces }));
    const owner = { callRef: lease.callRef, fence: lease.fence, incarnation: lease.incarnation };
    assert.equal(await table.answered({ ...owner, callConnectionId: 'conn' }), 'written');
    assert.equal(await table.owns(owner), true);
    await table.renew({ worker: 'w-b', incarnation: 'w-b-1', held: [] });
    const taker = { worker: 'w-a', incarnation: 'w-a-1', hardSlotLimit: 5 };
    const granted = await table.grant({ callRef: lease.callRef, seen: owner, taker });
    assert.ok(granted.kind === 'granted');
    await leases.client.command('FLUSHALL');
    const again = await table.renew({ worker: 'w-a', incarnation: 'w-a-1', held: [heldOf(granted.lease)] });
    assert.deepEqual(again.rewritten, [lease.callRef]);
    await table.adopt({
      worker: 'w-a',
      incarnation: 'w-a-1',
      lease: { ...heldOf(first), callRef: callRefOf('9'), ring: ringOf('9') },
    });
    await table.confirmRecovery(2);
    await table.park('w-a', callRefOf('1'), '[]');
    await leases.worker('w-a', 1);
    assert.equal((await table.heartbeats()).length, 1);
    await table.summary();
    assert.equal((await table.unsent(10)).length, 2);
    await table.claimDrain(callRefOf('1'), 'w-a', 'w-a-1', 1000);
    await table.markSent(callRefOf('1'));
    await table.release({ callRef: lease.callRef, fence: granted.lease.fence, incarnation: 'w-a-1' });
    assert.deepEqual(
      [...(await leases.ttls())].filter(([, left]) => left < 0),
      [],
    );
  });

  it('pins the layout: a start with the other one fails', async () => {
    await pinLayout(leases.client, leases.keys);
    await pinLayout(leases.client, leases.keys);
    const other = new RedisKeyManager({ environment: 'test', layout: 'standalone' });
    await assert.rejects(pinLayout(leases.client, other), { code: 'ERR_LAYOUT_MISMATCH' });
  });
});
