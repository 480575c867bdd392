import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Lease } from '../../contract/records.ts';
import {
  affinityOf,
  callRefOf,
  heartbeatOf,
  heldOf,
  type Leases,
  openLeases,
  placed,
  ringOf,
} from '../../test/support/leases.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import type { HeldLease } from '../ports.ts';

let redis: TestRedis;
let leases: Leases;

const HEARTBEAT_MS = 500;
const place = async (id: string) =>
  placed(await leases.table.place({ ring: ringOf(id), newCallRef: callRefOf(id), strategy: 'Spread' }));
const renew = (worker: string, held: readonly HeldLease[], incarnation = `${worker}-1`) =>
  leases.table.renew({ worker, incarnation, held });

/** As the owner remembers it once ACS has answered. */
async function answered(lease: Lease): Promise<HeldLease> {
  const callConnectionId = `conn-${lease.callRef}`;
  const { callRef, fence, incarnation } = lease;
  assert.equal(await leases.table.answered({ callRef, fence, incarnation, callConnectionId }), 'written');
  return { ...heldOf(lease), callConnectionId };
}

describe('renew', () => {
  before(async () => {
    redis = await startRedis();
    leases = await openLeases(redis.url, { heartbeatMs: HEARTBEAT_MS, leaseMs: 900, ringingMs: 700, unheldAfterMs: 0 });
  });
  after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });
  beforeEach(() => leases.begin());

  it('extends what it names, and makes a lapsed lease count again', async () => {
    await leases.worker('w-a', 3);
    const held = await answered(await place('1'));
    const before = await leases.table.find(held.callRef);
    await leases.passed(before?.expiresAtMs ?? 0);
    // Somebody else's renewal retires it.
    await renew('w-z', []);
    assert.equal(await leases.load('w-a'), 0);
    const outcome = await renew('w-a', [held]);
    assert.deepEqual([outcome.renewed, outcome.rewritten, outcome.lost], [[held.callRef], [], []]);
    assert.equal(await leases.load('w-a'), 1);
    const afterwards = await leases.table.find(held.callRef);
    assert.ok((afterwards?.expiresAtMs ?? 0) > (before?.expiresAtMs ?? 0));
  });

  it('tells an owner what others hold by now', async () => {
    await leases.worker('w-a', 3);
    const held = await answered(await place('1'));
    const seen = { fence: held.fence, incarnation: 'w-a-1' };
    const taker = { worker: 'w-b', incarnation: 'w-b-1', hardSlotLimit: 5 };
    assert.equal((await leases.table.grant({ callRef: held.callRef, seen, taker })).kind, 'granted');
    const outcome = await renew('w-a', [held]);
    assert.deepEqual(outcome.lost, [{ callRef: held.callRef, fence: 2, worker: 'w-b' }]);
    assert.deepEqual(outcome.renewed, []);
    assert.equal(await leases.load('w-a'), 0);
  });

  it('writes missing leases again after Redis was emptied, and raises the next fences', async () => {
    await leases.worker('w-a', 3);
    const held = { ...(await answered(await place('1'))), fence: 7 };
    await leases.client.command('FLUSHALL');
    const outcome = await renew('w-a', [held]);
    assert.deepEqual([outcome.rewritten, outcome.renewed, outcome.recovering], [[held.callRef], [held.callRef], true]);
    const found = await leases.table.find(held.callRef);
    assert.deepEqual([found?.fence, found?.worker, found?.state], [7, 'w-a', 'answered']);
    assert.deepEqual(found?.ring, held.ring);
    await leases.table.confirmRecovery(1);
    await leases.worker('w-a', 3);
    assert.equal((await place('2')).fence, 8);
    const unsent = await leases.table.unsent(10);
    assert.deepEqual(
      unsent.map((call) => call.callConnectionId),
      [held.callConnectionId, undefined],
    );
  });

  it('lets the newer fence win, and refuses an equal fence of another incarnation', async () => {
    await leases.worker('w-a', 3);
    const held = await answered(await place('1'));
    await leases.client.command('FLUSHALL');
    await renew('w-a', [held]);
    assert.deepEqual((await renew('w-b', [{ ...held, fence: 2 }])).rewritten, [held.callRef]);
    assert.deepEqual((await renew('w-a', [held])).lost, [{ callRef: held.callRef, fence: 2, worker: 'w-b' }]);
    assert.deepEqual((await renew('w-c', [{ ...held, fence: 2 }])).lost, [
      { callRef: held.callRef, fence: 2, worker: 'w-b' },
    ]);
    assert.deepEqual((await renew('w-b', [{ ...held, fence: 2 }], 'w-b-2')).lost.length, 1);
    assert.equal((await leases.table.find(held.callRef))?.incarnation, 'w-b-1');
  });

  it('does not bring an ended call back', async () => {
    await leases.worker('w-a', 3);
    const held = await answered(await place('1'));
    await leases.table.release({ callRef: held.callRef, fence: held.fence, incarnation: 'w-a-1' });
    const outcome = await renew('w-a', [held]);
    assert.deepEqual(outcome.lost, [{ callRef: held.callRef, fence: held.fence, worker: '' }]);
    assert.equal(await leases.table.find(held.callRef), undefined);
  });

  it('tells a worker which leases name it that it does not hold, also of its earlier process', async () => {
    await leases.worker('w-a', 30);
    const held = await answered(await place('1'));
    const other = await answered(await place('2'));
    await leases.passed(await leases.timeMs());
    const outcome = await renew('w-a', [held]);
    assert.deepEqual(
      outcome.unheld.map((lease) => lease.callRef),
      [other.callRef],
    );
    const restarted = await renew('w-a', [], 'w-a-2');
    assert.deepEqual(restarted.unheld.map((lease) => [lease.callRef, lease.incarnation]).sort(), [
      [held.callRef, 'w-a-1'],
      [other.callRef, 'w-a-1'],
    ]);
    for (let id = 10; id < 38; id += 1) await place(`${id}`);
    assert.equal((await renew('w-a', [], 'w-a-2')).unheld.length, 16);
  });

  it('shows survivors the rings and calls of a worker that went silent', async () => {
    await leases.worker('w-a', 3);
    const held = await answered(await place('1'));
    assert.deepEqual((await renew('w-b', [])).orphans, []);
    await leases.table.beat(heartbeatOf('w-a', 3));
    const ring = await place('2');
    await leases.table.writeAffinity(affinityOf('w-a', 3, { state: 'cordoned' }));
    await leases.passed((await leases.timeMs()) + HEARTBEAT_MS + 1);
    const outcome = await renew('w-b', []);
    assert.deepEqual(
      outcome.orphans.map((lease) => lease.callRef),
      [held.callRef],
    );
    assert.deepEqual(
      outcome.strandedRings.map((lease) => lease.callRef),
      [ring.callRef],
    );
    await leases.passed(ring.expiresAtMs);
    assert.deepEqual((await renew('w-b', [])).strandedRings, []);
    assert.deepEqual(
      (await renew('w-b', [])).orphans.map((lease) => lease.callRef),
      [held.callRef],
    );
  });

  it('places nobody on a worker that was silent with calls until it has renewed', async () => {
    await leases.worker('w-a', 2);
    const held = await answered(await place('1'));
    await leases.passed((await leases.timeMs()) + HEARTBEAT_MS + 1);
    await leases.table.beat(heartbeatOf('w-a', 2));
    const request = { ring: ringOf('2'), newCallRef: callRefOf('2'), strategy: 'Spread' as const };
    const kinds = [(await leases.table.place(request)).kind];
    await leases.table.beat(heartbeatOf('w-a', 2));
    kinds.push((await leases.table.place(request)).kind);
    await renew('w-a', [held]);
    kinds.push((await leases.table.place(request)).kind);
    // The lease may outlive the epoch in this test: then the pool is RECOVERING, which places nobody either.
    assert.deepEqual(
      kinds.map((kind) => kind === 'placed'),
      [false, false, true],
    );
  });

  it('learns the callConnectionId from a renewal when the answer could not be written', async () => {
    await leases.worker('w-a', 3);
    const lease = await place('1');
    await renew('w-a', [{ ...heldOf(lease), callConnectionId: 'conn-9' }]);
    assert.equal((await leases.table.find(lease.callRef))?.callConnectionId, 'conn-9');
    assert.equal((await leases.table.unsent(1))[0]?.callConnectionId, 'conn-9');
  });
});

describe('adopt', () => {
  const adopt = (worker: string, lease: HeldLease) => leases.table.adopt({ worker, incarnation: `${worker}-1`, lease });
  const own = (id: string, fields: Partial<HeldLease> = {}): HeldLease => ({
    callRef: callRefOf(`own${id}`),
    fence: 1,
    callConnectionId: undefined,
    ring: ringOf(id),
    placedAtMs: 1,
    ...fields,
  });
  before(async () => {
    redis = await startRedis();
    leases = await openLeases(redis.url);
  });
  after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });
  beforeEach(() => leases.begin());

  it('writes a ring that nobody has, also while the pool recovers, and repeats the same answer', async () => {
    await leases.client.command('FLUSHALL');
    assert.deepEqual(await adopt('w-a', own('1')), { kind: 'adopted', fence: 1 });
    assert.deepEqual(await adopt('w-a', own('1')), { kind: 'adopted', fence: 1 });
    await leases.table.confirmRecovery(1);
    await leases.worker('w-b', 5);
    const outcome = await leases.table.place({ ring: ringOf('1'), newCallRef: callRefOf('n'), strategy: 'Spread' });
    assert.equal(placed(outcome).callRef, callRefOf('own1'));
  });

  it('takes a ringing lease of the ring over only when this worker has answered', async () => {
    await leases.worker('w-b', 5);
    const other = await place('1');
    assert.deepEqual(await adopt('w-a', own('1')), { kind: 'taken' });
    assert.deepEqual(await adopt('w-a', own('1', { callConnectionId: 'conn-1' })), { kind: 'adopted', fence: 2 });
    assert.equal(await leases.table.find(other.callRef), undefined);
    assert.equal(await leases.load('w-b'), 0);
    // The owner of the replaced lease must not bring it back.
    assert.equal((await renew('w-b', [heldOf(other)])).lost.length, 1);
  });

  it('leaves a lease that another worker has answered', async () => {
    await leases.worker('w-b', 5);
    await answered(await place('1'));
    assert.deepEqual(await adopt('w-a', own('1', { callConnectionId: 'conn-1' })), { kind: 'taken' });
  });
});
