import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
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
import { RedisLeaseTable } from './lease_table.ts';
import { INBOX_LIMIT } from './scripts/workers.ts';

let redis: TestRedis;
let leases: Leases;

const place = (id: string) => leases.table.place({ ring: ringOf(id), newCallRef: callRefOf(id), strategy: 'Spread' });
const renew = (worker: string) => leases.table.renew({ worker, incarnation: `${worker}-1`, held: [] });

describe('the pool', () => {
  before(async () => {
    redis = await startRedis();
    leases = await openLeases(redis.url, {
      leaseMs: 250,
      recoveryMs: 250,
      heartbeatMs: 150,
      ringOutcomeMs: 50,
      longestCallMs: 1000,
    });
  });
  after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });
  beforeEach(() => leases.begin());

  it('recovers after its epoch went missing, and opens when the controller confirms', async () => {
    await leases.worker('w-a', 5);
    const lease = placed(await place('1'));
    await leases.client.command('FLUSHALL');
    assert.deepEqual(await place('2'), { kind: 'recovering' });
    const seen = { fence: 1, incarnation: 'w-a-1' };
    const taker = { worker: 'w-b', incarnation: 'w-b-1', hardSlotLimit: 5 };
    assert.deepEqual(await leases.table.grant({ callRef: lease.callRef, seen, taker }), { kind: 'recovering' });
    assert.equal(
      (await leases.table.renew({ worker: 'w-a', incarnation: 'w-a-1', held: [heldOf(lease)] })).recovering,
      true,
    );
    assert.equal((await leases.table.summary()).recovering, true);
    assert.deepEqual((await leases.table.vitals([])).pulse, { refusedTotal: 0, recovering: true });
    await assert.rejects(leases.table.confirmRecovery(-1), { code: 'ERR_LEASE_ARGUMENT_INVALID' });
    await leases.table.confirmRecovery(1);
    await leases.worker('w-a', 5);
    assert.equal((await place('2')).kind, 'placed');
  });

  it('recovers after an outage longer than a lease with all data kept, and opens by itself in time', async () => {
    await leases.worker('w-a', 5);
    await leases.passed((await leases.timeMs()) + 251);
    const noticedMs = await leases.timeMs();
    assert.equal((await place('1')).kind, 'recovering');
    let outcome = await place('1');
    while (outcome.kind !== 'placed' && (await leases.timeMs()) - noticedMs < 10_000) {
      assert.equal(outcome.kind, 'recovering');
      await leases.worker('w-a', 5);
      outcome = await place('1');
    }
    assert.equal(outcome.kind, 'placed');
    assert.ok((await leases.timeMs()) - noticedMs >= 250);
  });

  it('stays open while any worker renews', async () => {
    const startMs = await leases.timeMs();
    while ((await leases.timeMs()) - startMs < 600) assert.equal((await renew('w-a')).recovering, false);
    await leases.worker('w-a', 1);
    assert.equal((await place('1')).kind, 'placed');
  });

  it('starts its recovery anew when every worker fell silent in the middle of it', async () => {
    await leases.client.command('FLUSHALL');
    await renew('w-a');
    await leases.passed((await leases.timeMs()) + 251);
    assert.equal((await place('1')).kind, 'recovering');
  });

  it('obeys the newest controller only', async () => {
    const write = (fence: number) => leases.table.writeAffinity(affinityOf('w-a', 1, { controllerFence: fence }));
    assert.deepEqual([await write(2), await write(3), await write(2)], ['written', 'written', 'fenced']);
    assert.equal((await leases.table.affinity('w-a'))?.controllerFence, 3);
    await assert.rejects(leases.table.confirmRecovery(2), { code: 'ERR_CONTROLLER_FENCED' });
  });

  it('forgets an ended ring after its time, and a lapsed lease after the longest call', async () => {
    await leases.worker('w-a', 5);
    const ended = placed(await place('1'));
    await leases.table.release({ callRef: ended.callRef, fence: 1, incarnation: 'w-a-1' });
    const kept = placed(await place('2'));
    await leases.table.answered({ callRef: kept.callRef, fence: 1, incarnation: 'w-a-1', callConnectionId: 'c' });
    await leases.passed((await leases.timeMs()) + 300);
    await renew('w-b');
    assert.equal((await leases.table.find(kept.callRef))?.worker, 'w-a');
    await leases.passed((await leases.timeMs()) + 1001);
    await renew('w-b');
    assert.equal(await leases.table.find(kept.callRef), undefined);
    await leases.table.confirmRecovery(1);
    await leases.worker('w-a', 5);
    assert.equal((await place('1')).kind, 'placed');
  });
});

describe('workers and the archiver', () => {
  before(async () => {
    redis = await startRedis();
    leases = await openLeases(redis.url, {}, 'cluster');
  });
  after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });
  beforeEach(() => leases.begin());

  it('beats: returns the affinity record unchanged, and is heard', async () => {
    assert.equal((await leases.table.beat(heartbeatOf('w-a', 3))).affinity, undefined);
    const record = { ...affinityOf('w-a', 3), later: 'kept' };
    await leases.table.writeAffinity(record);
    assert.deepEqual((await leases.table.beat(heartbeatOf('w-a', 3))).affinity, record);
    assert.deepEqual(await leases.table.heartbeat('w-a'), heartbeatOf('w-a', 3));
    assert.deepEqual(await leases.table.heartbeats(), [heartbeatOf('w-a', 3)]);
    const pulse = { refusedTotal: 0, recovering: false };
    assert.deepEqual(await leases.table.vitals(['w-b', 'w-a']), { pulse, heartbeats: [heartbeatOf('w-a', 3)] });
    assert.deepEqual(await leases.table.vitals([]), { pulse, heartbeats: [] });
    const ageMs = await leases.table.heartbeatAgeMs('w-a');
    assert.ok(ageMs !== undefined && ageMs >= 0 && ageMs < 5000);
    assert.equal(await leases.table.heartbeatAgeMs('w-b'), undefined);
  });

  it('pools with other times share one connection (a script of one name has one text for each)', async () => {
    const { client, keys } = leases;
    const pool = { namespace: 'local', pool: 'brief' };
    const brief = new RedisLeaseTable({ client, keys, pool, times: { affinityMs: 60_000 } });
    await brief.writeAffinity(affinityOf('w-b', 3));
    await leases.table.writeAffinity(affinityOf('w-a', 3));
    const lives = await leases.ttls();
    const of = (worker: string) => [...lives].find(([key]) => key.includes(worker))?.[1] ?? Number.NaN;
    assert.ok(of('w-b') <= 60_000 && of('w-a') > 60_000, `${of('w-b')} and ${of('w-a')} ms`);
  });

  it('tells in its pulse what nobody had a slot for', async () => {
    await leases.worker('w-a', 1);
    await place('1');
    await place('2');
    assert.deepEqual((await leases.table.vitals(['w-a'])).pulse, { refusedTotal: 1, recovering: false });
  });

  it('parks callbacks in order, hands them over until acknowledged, and refuses beyond the bound', async () => {
    for (const id of ['1', '2']) await leases.table.park('w-a', callRefOf(id), `[{"id":"${id}"}]`);
    const first = await leases.table.beat(heartbeatOf('w-a', 3));
    assert.deepEqual(
      first.parked,
      ['1', '2'].map((id) => ({ callRef: callRefOf(id), body: `[{"id":"${id}"}]` })),
    );
    assert.deepEqual(
      first.inbox,
      first.parked.map((entry) => entry.body),
    );
    await leases.table.park('w-a', callRefOf('3'), '[3]');
    assert.deepEqual((await leases.table.beat(heartbeatOf('w-a', 3))).inbox, ['[3]']);
    assert.deepEqual((await leases.table.beat(heartbeatOf('w-a', 3))).inbox, []);
    await Promise.all(Array.from({ length: INBOX_LIMIT }, () => leases.table.park('w-a', callRefOf('4'), '[]')));
    await assert.rejects(leases.table.park('w-a', callRefOf('5'), '[]'), { code: 'ERR_INBOX_FULL' });
  });

  it('hands a parked callback over again to a process that never got the reply', async () => {
    await leases.table.park('w-a', callRefOf('1'), '[1]');
    await leases.table.beat(heartbeatOf('w-a', 3));
    const other = await openLeases(redis.url, {}, 'cluster');
    assert.deepEqual((await other.table.beat(heartbeatOf('w-a', 3, 'w-a-2'))).inbox, ['[1]']);
    await other.close();
  });

  it('lists calls until they are marked sent, with who owns them', async () => {
    await leases.worker('w-a', 3);
    const one = placed(await place('1'));
    placed(await place('2'));
    await leases.table.answered({ callRef: one.callRef, fence: 1, incarnation: 'w-a-1', callConnectionId: 'conn-1' });
    const listed = (await leases.table.unsent(10)).map(({ callRef, callConnectionId, owner }) => ({
      callRef,
      callConnectionId,
      owner,
    }));
    const owner = { worker: 'w-a', live: true };
    assert.deepEqual(listed, [
      { callRef: one.callRef, callConnectionId: 'conn-1', owner },
      { callRef: callRefOf('2'), callConnectionId: undefined, owner },
    ]);
    await leases.table.release({ callRef: one.callRef, fence: 1, incarnation: 'w-a-1' });
    assert.equal((await leases.table.unsent(1))[0]?.owner, undefined);
    await leases.table.markSent(one.callRef);
    assert.deepEqual(
      (await leases.table.unsent(10)).map((call) => call.callRef),
      [callRefOf('2')],
    );
    assert.deepEqual(await leases.table.unsent(10, 1), []);
  });

  it('gives the draining of a stream to one archiver, and not while its owner lives', async () => {
    const claim = (worker: string, leaseMs: number, ref = 'lone') =>
      leases.table.claimDrain(callRefOf(ref), worker, `${worker}-1`, leaseMs);
    assert.deepEqual(await claim('w-a', 60_000), { kind: 'claimed', fence: 1 });
    assert.deepEqual(await claim('w-b', 60_000), { kind: 'held', worker: 'w-a' });
    assert.deepEqual(await claim('w-a', 0), { kind: 'claimed', fence: 1 });
    assert.deepEqual(await claim('w-b', 60_000), { kind: 'claimed', fence: 2 });
    await leases.worker('w-a', 3);
    placed(await place('1'));
    assert.deepEqual(await claim('w-b', 1000, '1'), { kind: 'owned', worker: 'w-a' });
    assert.deepEqual(await claim('w-a', 1000, '1'), { kind: 'claimed', fence: 1 });
  });

  it('gives every key of the pool a time to live', async () => {
    await leases.worker('w-a', 1);
    placed(await place('1'));
    await place('2');
    await leases.table.park('w-a', callRefOf('1'), '[]');
    await leases.table.claimDrain(callRefOf('x'), 'w-a', 'w-a-1', 1000);
    const forever = [...(await leases.ttls())].filter(([, left]) => left < 0).map(([key]) => key);
    assert.deepEqual(forever, []);
    for (const key of (await leases.ttls()).keys()) assert.ok(leases.keys.parse(key), key);
  });
});
