import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HeartbeatRecord } from '../contract/records.ts';
import { type Log, silentLog } from '../platform/log.ts';
import { aView, aWorker } from '../test/support/pool_views.ts';
import { allReasserted, Recovery } from './recovery.ts';

const beat = (worker: string, activeCalls: number, incarnation = `${worker}-inc`): HeartbeatRecord => ({
  v: 1,
  worker,
  incarnation,
  endpoint: 'http://h:1',
  activeCalls,
  slots: 10,
  memoryBytes: 1,
  memoryLimitBytes: 2,
  memoryBaselineBytes: 1,
  eventLoopLagMs: 0,
  relayedSockets: 0,
  unsentRecords: 0,
  admits: true,
});

describe('recovery', () => {
  const view = aView([aWorker('a', { calls: 2 }), aWorker('b'), aWorker('c', { presence: 'ended' })]);
  const ask = (beats: HeartbeatRecord[], of = view) => allReasserted(of, { heartbeats: async () => beats });

  it('is over at once for a pool without serving workers', async () => {
    assert.equal(await ask([], aView([aWorker('a', { presence: 'starting' })])), true);
  });

  it('is over when every serving worker is back with all its calls, and not before', async () => {
    assert.equal(await ask([beat('a', 2), beat('b', 0)]), true);
    assert.equal(await ask([beat('a', 2)]), false, 'one is not back');
    assert.equal(await ask([beat('a', 2), beat('b', 0, 'older')]), false, 'that is an earlier incarnation');
    assert.equal(await ask([beat('a', 3), beat('b', 0)]), false, 'it has a call that no lease names yet');
    const behind = aView([aWorker('a', { calls: 2, leases: 1 })]);
    assert.equal(await ask([beat('a', 1)], behind), false, 'its own figures say two');
  });

  it('is said of a pool whose workers serve, and quietly gone through by one without any', async () => {
    const confirmed: number[] = [];
    const warned: string[] = [];
    const log = { ...silentLog, warn: (_fields: object, text: string) => warned.push(text) } as unknown as Log;
    const recovery = new Recovery({ log, fence: 7 });
    const leases = {
      heartbeats: async () => [beat('a', 0)],
      confirmRecovery: async (fence: number) => void confirmed.push(fence),
    };
    await recovery.step(aView([], { epochMissing: true }), leases, undefined);
    assert.deepEqual([confirmed, warned], [[7], []]);
    const serving = aView([aWorker('a')], { epochMissing: true, redis: { state: 'recovering', refusedTotal: 0 } });
    await recovery.step(serving, leases, undefined);
    await recovery.step(serving, leases, undefined);
    assert.deepEqual([confirmed, warned.length], [[7, 7, 7], 1]);
    await recovery.step(aView([aWorker('a')]), leases, undefined);
    assert.equal(confirmed.length, 3);
  });
});
