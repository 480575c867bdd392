import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Lease } from '../../contract/records.ts';
import { callRefOf, type Leases, openLeases, placed, ringOf } from '../../test/support/leases.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';

let redis: TestRedis;
let leases: Leases;
let lease: Lease;

const ownerOf = ({ callRef, fence, incarnation }: Lease) => ({ callRef, fence, incarnation });
const taker = (worker: string, hardSlotLimit = 10) => ({ worker, incarnation: `${worker}-1`, hardSlotLimit });
const place = async (id: string) =>
  placed(await leases.table.place({ ring: ringOf(id), newCallRef: callRefOf(id), strategy: 'Spread' }));

describe('the owner of a lease', () => {
  before(async () => {
    redis = await startRedis();
    leases = await openLeases(redis.url);
  });
  after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await leases.begin();
    await leases.worker('w-a', 4);
    lease = await place('1');
  });

  it('answers under its own fence and incarnation only', async () => {
    const { table } = leases;
    const owner = ownerOf(lease);
    assert.equal(await table.owns(owner), true);
    assert.equal(await table.owns({ ...owner, fence: 2 }), false);
    assert.equal(await table.owns({ ...owner, incarnation: 'w-a-2' }), false);
    assert.equal(await table.answered({ ...owner, incarnation: 'w-a-2', callConnectionId: 'c' }), 'fenced');
    assert.equal(await table.answered({ ...owner, callRef: callRefOf('none'), callConnectionId: 'c' }), 'missing');
    assert.equal(await table.answered({ ...owner, callConnectionId: 'conn-1' }), 'written');
    assert.equal(await table.answered({ ...owner, callConnectionId: 'conn-1' }), 'written');
    const found = await table.find(lease.callRef);
    assert.deepEqual([found?.state, found?.callConnectionId], ['answered', 'conn-1']);
    assert.deepEqual(found?.ring, lease.ring);
  });

  it('loses it to one taker only, under a higher fence each time', async () => {
    const { table } = leases;
    const seen = { fence: lease.fence, incarnation: lease.incarnation };
    const outcomes = await Promise.all(
      ['w-b', 'w-c', 'w-d'].map((worker) => table.grant({ callRef: lease.callRef, seen, taker: taker(worker) })),
    );
    assert.deepEqual(
      outcomes.map((outcome) => outcome.kind),
      ['granted', 'moved', 'moved'],
    );
    const [first, second] = outcomes;
    assert.ok(first?.kind === 'granted' && second?.kind === 'moved');
    assert.deepEqual(second.lease, first.lease);
    assert.deepEqual([first.lease.worker, first.lease.fence], ['w-b', 2]);
    assert.equal(await table.owns(ownerOf(lease)), false);
    assert.deepEqual((await table.summary()).calls, { 'w-a': 0 });
    const higher = await table.grant({
      callRef: lease.callRef,
      seen: { fence: 2, incarnation: 'w-b-1' },
      taker: taker('w-c'),
      fenceFloor: 40,
    });
    assert.ok(higher.kind === 'granted' && higher.lease.fence === 41);
    const none = await table.grant({ callRef: callRefOf('none'), seen, taker: taker('w-b') });
    assert.deepEqual(none, { kind: 'moved', lease: undefined });
  });

  it('may take over beyond its slots, up to the hard limit', async () => {
    const { table } = leases;
    await leases.worker('w-b', 1);
    const more = [await place('2'), await place('3'), await place('4')].filter((found) => found.worker === 'w-a');
    const outcomes = [];
    for (const found of [lease, ...more].slice(0, 3)) {
      const seen = { fence: found.fence, incarnation: found.incarnation };
      outcomes.push((await table.grant({ callRef: found.callRef, seen, taker: taker('w-b', 3) })).kind);
    }
    assert.deepEqual(outcomes, ['granted', 'granted', 'full']);
    assert.equal(await leases.load('w-b'), 3);
  });

  it('gives a number that was never given before when Redis has lost data', async () => {
    const { table } = leases;
    const held = { callRef: lease.callRef, fence: 1, callConnectionId: 'c', ring: lease.ring, placedAtMs: 1 };
    const seen = { fence: 1, incarnation: lease.incarnation };
    const lost = await table.grant({ callRef: lease.callRef, seen, taker: taker('w-b') });
    assert.ok(lost.kind === 'granted' && lost.lease.fence === 2);
    await leases.client.command('FLUSHALL');
    // The first owner is back before the second: its fence is all that Redis knows.
    await table.renew({ worker: 'w-a', incarnation: lease.incarnation, held: [held] });
    await table.confirmRecovery(1);
    const next = await table.grant({ callRef: lease.callRef, seen, taker: taker('w-c') });
    assert.ok(next.kind === 'granted' && next.lease.fence > 2);
  });

  it('reclaims its leases after a restart in its Pod, without counting them twice', async () => {
    const { table } = leases;
    const again = { worker: 'w-a', incarnation: 'w-a-2', hardSlotLimit: 1 };
    const outcome = await table.grant({ callRef: lease.callRef, seen: ownerOf(lease), taker: again });
    assert.ok(outcome.kind === 'granted');
    assert.deepEqual([outcome.lease.incarnation, outcome.lease.fence], ['w-a-2', 2]);
    assert.equal(await leases.load('w-a'), 1);
  });

  it('releases once; a fenced-out owner changes nothing', async () => {
    const { table } = leases;
    await table.release({ ...ownerOf(lease), fence: 3 });
    await table.release({ ...ownerOf(lease), incarnation: 'w-a-2' });
    assert.equal(await leases.load('w-a'), 1);
    await table.release(ownerOf(lease));
    await table.release(ownerOf(lease));
    assert.equal(await table.find(lease.callRef), undefined);
    assert.equal(await leases.load('w-a'), 0);
  });
});
