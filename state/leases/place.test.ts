import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import {
  affinityOf,
  callRefOf,
  heartbeatOf,
  type Leases,
  openLeases,
  placed,
  ringOf,
} from '../../test/support/leases.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';

let redis: TestRedis;
let leases: Leases;

const place = (id: string, strategy: 'Spread' | 'Pack' = 'Spread', more: object = {}) =>
  leases.table.place({ ring: ringOf(id), newCallRef: callRefOf(id), strategy, ...more });

describe('place', () => {
  before(async () => {
    redis = await startRedis();
    leases = await openLeases(redis.url, { heartbeatMs: 400, ringingMs: 300, leaseMs: 2000 });
  });
  after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });
  beforeEach(() => leases.begin());

  it('gives a new call fence 1, the ring time, and the worker’s own endpoint', async () => {
    await leases.worker('w-a', 2);
    const nowMs = await leases.timeMs();
    const outcome = await place('1');
    assert.equal(outcome.kind, 'placed');
    if (outcome.kind !== 'placed') return;
    const { lease } = outcome;
    assert.equal(outcome.repeated, false);
    assert.equal(outcome.endpoint, 'http://w-a:1');
    assert.deepEqual([lease.worker, lease.incarnation, lease.fence, lease.state], ['w-a', 'w-a-1', 1, 'ringing']);
    assert.ok(lease.expiresAtMs - nowMs >= 300);
    assert.deepEqual(await leases.table.find(lease.callRef), lease);
  });

  it('answers a redelivered ring with the same lease, and an ended one with ended', async () => {
    await leases.worker('w-a', 2);
    const first = placed(await place('1'));
    const again = await leases.table.place({ ring: ringOf('1'), newCallRef: callRefOf('other'), strategy: 'Spread' });
    assert.ok(again.kind === 'placed' && again.repeated && again.endpoint === 'http://w-a:1');
    assert.deepEqual(placed(again), first);
    assert.equal(await leases.load('w-a'), 1);
    await leases.table.release({ callRef: first.callRef, fence: 1, incarnation: 'w-a-1' });
    assert.deepEqual(await place('1'), { kind: 'ended' });
    assert.equal(await leases.load('w-a'), 0);
  });

  it('spreads to the emptiest and packs to the fullest that has room', async () => {
    await leases.worker('w-a', 2);
    await leases.worker('w-b', 2);
    const [first, second] = [placed(await place('1')), placed(await place('2'))];
    assert.notEqual(first.worker, second.worker);
    await leases.begin();
    await leases.worker('w-a', 2);
    await leases.worker('w-b', 2);
    const packed = [];
    for (const id of ['1', '2', '3']) packed.push(placed(await place(id, 'Pack')).worker);
    assert.equal(packed[0], packed[1]);
    assert.notEqual(packed[1], packed[2]);
  });

  it('counts load against each worker’s own slots', async () => {
    await leases.worker('w-a', 2);
    await leases.worker('w-b', 10);
    const workers = [];
    for (const id of ['1', '2', '3', '4', '5', '6']) workers.push(placed(await place(id)).worker);
    assert.equal(workers.filter((worker) => worker === 'w-a').length, 1);
  });

  it('refuses when every slot is taken, counts it, and never goes over', async () => {
    await leases.worker('w-a', 1);
    await leases.worker('w-b', 1);
    const kinds = await Promise.all(['1', '2', '3', '4'].map(async (id) => (await place(id)).kind));
    assert.deepEqual(kinds.sort(), ['full', 'full', 'placed', 'placed']);
    const summary = await leases.table.summary();
    assert.deepEqual(summary, { calls: { 'w-a': 1, 'w-b': 1 }, refusedTotal: 2, recovering: false });
  });

  it('passes over workers that are cordoned, do not admit, are excluded or unknown', async () => {
    await leases.worker('w-a', 1);
    await leases.table.writeAffinity(affinityOf('w-a', 1, { state: 'cordoned' }));
    assert.equal((await place('1')).kind, 'full');
    await leases.table.writeAffinity(affinityOf('w-a', 1));
    await leases.table.beat({ ...heartbeatOf('w-a', 1), admits: false });
    assert.equal((await place('1')).kind, 'full');
    await leases.table.beat(heartbeatOf('w-a', 1));
    assert.equal((await place('1', 'Spread', { exclude: ['w-a'] })).kind, 'full');
    await leases.table.beat(heartbeatOf('w-unknown', 5));
    assert.equal(placed(await place('1')).worker, 'w-a');
  });

  it('passes over workers without a fresh heartbeat', async () => {
    for (const worker of ['w-a', 'w-b', 'w-c']) await leases.worker(worker, 5);
    await leases.passed((await leases.timeMs()) + 401);
    assert.equal((await place('1')).kind, 'full');
    await leases.table.beat(heartbeatOf('w-c', 5));
    assert.equal(placed(await place('1')).worker, 'w-c');
  });

  it('frees the slot of a lease that expired, which stays readable', async () => {
    await leases.worker('w-a', 1);
    const first = placed(await place('1'));
    assert.equal((await place('2')).kind, 'full');
    await leases.passed(first.expiresAtMs);
    await leases.table.beat(heartbeatOf('w-a', 1));
    assert.equal((await place('2')).kind, 'placed');
    assert.deepEqual(await leases.table.find(first.callRef), first);
    assert.equal(await leases.load('w-a'), 1);
  });

  it('places again under a higher fence without the worker that did not answer', async () => {
    await leases.worker('w-a', 1);
    const first = placed(await place('1'));
    await leases.worker('w-b', 1);
    const replaces = { callRef: first.callRef, fence: first.fence };
    const moved = placed(await place('1', 'Spread', { exclude: ['w-a'], replaces }));
    assert.deepEqual([moved.callRef, moved.worker, moved.fence], [first.callRef, 'w-b', 2]);
    assert.deepEqual((await leases.table.summary()).calls, { 'w-a': 0, 'w-b': 1 });
    const late = await place('1', 'Spread', { exclude: ['w-b'], replaces });
    assert.ok(late.kind === 'placed' && late.repeated);
    assert.deepEqual(placed(late), moved);
  });

  it('does not place an answered call again', async () => {
    await leases.worker('w-a', 2);
    await leases.worker('w-b', 2);
    const first = placed(await place('1'));
    const owner = { callRef: first.callRef, fence: 1, incarnation: first.incarnation };
    assert.equal(await leases.table.answered({ ...owner, callConnectionId: 'conn-1' }), 'written');
    const late = await place('1', 'Spread', {
      exclude: [first.worker],
      replaces: { callRef: first.callRef, fence: 1 },
    });
    assert.ok(late.kind === 'placed' && late.repeated);
    assert.equal(placed(late).worker, first.worker);
  });

  it('refuses arguments that would break its records, by name', async () => {
    const request = { ring: ringOf('1'), newCallRef: 'has space', strategy: 'Spread' as const };
    await assert.rejects(leases.table.place(request), { code: 'ERR_LEASE_ARGUMENT_INVALID', message: /callRef/ });
    const big = { ...ringOf('1'), incomingCallContext: 'x'.repeat(70_000) };
    await assert.rejects(leases.table.place({ ...request, newCallRef: callRefOf('1'), ring: big }), {
      message: /ring/,
    });
  });
});
