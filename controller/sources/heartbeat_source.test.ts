import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { heartbeatOf, openLeases } from '../../test/support/leases.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { HeartbeatSource } from './heartbeat_source.ts';
import { Pacer } from './pacer.ts';

describe('figures out of heartbeats', () => {
  let redis: TestRedis;
  let leases: Awaited<ReturnType<typeof openLeases>>;
  before(async () => {
    redis = await startRedis();
    leases = await openLeases(redis.url);
    await leases.begin();
  });
  after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });

  it('are read for all workers at once, told apart by incarnation, and stay when Redis does not answer', async () => {
    const learned: string[] = [];
    const source = new HeartbeatSource({
      leases: leases.table,
      clock: systemClock,
      log: silentLog,
      onIncarnation: (worker, incarnation) => learned.push(`${worker}=${incarnation}`),
    });
    const target = (worker: string, incarnation?: string) => ({ worker, incarnation, endpoint: 'http://h:1' });
    for (const [worker, calls] of [
      ['demo-a', 3],
      ['demo-b', 0],
    ] as const) {
      await leases.table.beat({ ...heartbeatOf(worker, 10, `${worker}-1`), activeCalls: calls });
    }
    await source.refresh([target('demo-a'), target('demo-b', 'demo-b-1'), target('demo-c')]);
    assert.deepEqual(learned, ['demo-a=demo-a-1'], 'only of the one that nobody knew');
    assert.deepEqual(
      [source.of('demo-a', 'demo-a-1')?.figures.activeCalls, source.of('demo-b', 'demo-b-1')?.source],
      [3, 'heartbeat'],
    );
    assert.equal(source.of('demo-a', 'demo-a-0'), undefined);
    assert.equal(source.of('demo-c', undefined), undefined);
    await source.refresh([target('demo-b', 'demo-b-1')]);
    assert.equal(source.of('demo-a', 'demo-a-1'), undefined, 'it is no target any more');
    await redis.stop();
    await source.refresh([target('demo-b', 'demo-b-1')]);
    assert.ok(source.of('demo-b', 'demo-b-1'));
    await redis.restart();
    await leases.client.ready();
  });

  it('of a worker that hangs are as old as they are, where that decides whether it is deleted', async () => {
    await leases.begin();
    await leases.table.beat(heartbeatOf('demo-a', 10, 'demo-a-1'));
    const beatAt = systemClock.monotonicMs();
    const source = new HeartbeatSource({
      ...{ leases: leases.table, clock: systemClock, log: silentLog, onIncarnation: () => undefined },
    });
    await leases.passed((await leases.timeMs()) + 2_000);
    const target = { worker: 'demo-a', incarnation: 'demo-a-1', endpoint: 'http://h:1' };
    const observedAt = async (exactAge: boolean) => {
      await source.refresh([{ ...target, exactAge }]);
      return source.of('demo-a', 'demo-a-1')?.observedAtMs ?? Number.NaN;
    };
    const exact = await observedAt(true);
    assert.ok(exact <= beatAt, `${exact - beatAt} ms after the beat: a cordon in between would count as seen`);
    assert.ok(exact > beatAt - 1_000, 'and not much older than it is');
    assert.ok((await observedAt(false)) > beatAt, 'else it is taken for that of a worker that lives');
  });

  it('of many pools share one connection without crowding it, also while Redis is frozen', async () => {
    await leases.begin();
    const pacer = new Pacer(4);
    const sources = Array.from({ length: 50 }, () => {
      const shared = { leases: leases.table, clock: systemClock, log: silentLog, onIncarnation: () => undefined };
      return new HeartbeatSource({ ...shared, pacer });
    });
    redis.freeze();
    const target = { worker: 'demo-a', incarnation: 'demo-a-1', endpoint: 'http://h:1' };
    const rounds = [1, 2, 3].map(() => Promise.all(sources.map((source) => source.refresh([target]))));
    await turn();
    const [running, inFlight] = [pacer.running, leases.client.inFlight];
    redis.thaw();
    await Promise.all(rounds);
    assert.equal(running, 4);
    // The ping of the client may come on top.
    assert.ok(inFlight >= 4 && inFlight <= 5, `${inFlight} commands in flight`);
    assert.equal(pacer.running, 0);
  });
});
