import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../../platform/manual_clock.ts';
import { aRollout, aSpec, aView, aWorker } from '../../test/support/pool_views.ts';
import type { Finding } from './finding.ts';
import { STALE_MS } from './observe.ts';
import { isAtRest, type Reading, saysNews } from './rest.ts';
import { Scaler } from './scaling/scaler.ts';
import type { PoolView, WorkerView } from './view.ts';

const TIER: Finding = { type: 'RedisScaleNeeded', status: 'False', reason: 'Enough', message: '' };
const WANTED = 2;
const WINDOW = { name: 'day', cron: '0 8 * * *', timeZone: 'UTC', durationSeconds: 3_600, minWorkers: 2 };
const settled = (changes: Partial<PoolView> = {}) =>
  aView([aWorker('a', { calls: 6 }), aWorker('b', { calls: 6 })], changes);

function decisionOn(view: PoolView, requested?: number) {
  const scaler = new Scaler({ spec: view.spec, wanted: WANTED, clock: new ManualClock() });
  if (requested !== undefined) scaler.request(requested, view.spec);
  scaler.decide(view);
  return scaler.last;
}

describe('a pool at rest', () => {
  it('is one in which nothing is under way and no time has to run out', () => {
    const view = settled();
    assert.ok(isAtRest(view, WANTED, decisionOn(view)));
  });

  const restless: [string, PoolView, number?][] = [
    ['a worker starts', aView([aWorker('a'), aWorker('b', { presence: 'starting' })])],
    ['one is missing', aView([aWorker('a', { calls: 6 })])],
    ['one has no figures', aView([aWorker('a'), aWorker('b', { figures: undefined })])],
    [
      'one drains',
      aView([
        aWorker('a'),
        aWorker('b'),
        aWorker('c', { admission: 'draining', presence: 'serving', figures: undefined }),
      ]),
    ],
    ['a creation is not seen yet', settled({ pendingCreates: ['r1'] })],
    ['Redis is away', settled({ redis: { state: 'unavailable' } })],
    ['the pool recovers', settled({ redis: { state: 'recovering', refusedTotal: 0 } })],
    ['a roll-out goes on', settled({ rollout: aRollout({ phase: 'Canary', update: 'r2' }) })],
    ['the pool goes', settled({ deleting: true })],
    ['more is needed, for the first time', aView([aWorker('a', { calls: 10 }), aWorker('b', { calls: 10 })])],
    ['less would do, and the time runs', aView([aWorker('a'), aWorker('b')], { spec: aSpec({ minWorkers: 1 }) })],
    ['a floor holds for a while', settled(), 2],
    ['a window of time may open', settled({ spec: aSpec({ scaling: { ...aSpec().scaling, schedules: [WINDOW] } }) })],
  ];
  for (const [name, view, requested] of restless) {
    it(`is not one when ${name}`, () => {
      assert.ok(!isAtRest(view, WANTED, decisionOn(view, requested)));
    });
  }
});

describe('news of a pool at rest', () => {
  const view = settled({ redis: { state: 'available', refusedTotal: 3 } });
  const same = (
    changes: Partial<Reading> = {},
    figures: Partial<NonNullable<WorkerView['figures']>> = {},
  ): Reading => ({
    nowMs: view.nowMs + 1_000,
    pulse: { refusedTotal: 3, recovering: false },
    of: (worker, incarnation = '') => {
      const seen = view.workers.find(({ id }) => id === worker)?.figures;
      if (!seen) return undefined;
      return {
        figures: worker === 'b' ? { ...seen, ...figures } : seen,
        incarnation,
        source: 'heartbeat',
        observedAtMs: view.nowMs,
      };
    },
    offered: undefined,
    tier: TIER,
    ...changes,
  });
  const says = (reading: Reading) => saysNews({ view, tier: TIER }, reading);

  it('are none while everything reads as before, but for the breathing of a heap', () => {
    assert.ok(!says(same()));
    const memoryBytes = (view.workers[1]?.figures?.memoryBytes ?? 0) + 2 ** 20;
    assert.ok(!says(same({}, { memoryBytes })));
  });

  it('are what the next decision would see', () => {
    const news: [string, Reading][] = [
      ['a call', same({}, { activeCalls: 7 })],
      ['it admits none', same({}, { callCapacity: 0 })],
      ['memory', same({}, { memoryBytes: 200 * 2 ** 20 })],
      ['a relayed socket', same({}, { relayedSockets: 1 })],
      ['an unsent record', same({}, { unsentRecords: 1 })],
      ['a caller was refused', same({ pulse: { refusedTotal: 4, recovering: false } })],
      ['Redis was emptied', same({ pulse: { refusedTotal: 3, recovering: true } })],
      ['Redis does not answer', same({ pulse: undefined })],
      ['another life of a worker', same({ of: () => undefined })],
      ['figures that do not come any more', same({ nowMs: view.nowMs + STALE_MS + 1 })],
      ['another source of calls', same({ offered: { kind: 'known', calls: 9 } })],
      ['Redis is full', same({ tier: { ...TIER, status: 'True', reason: 'Memory' } })],
    ];
    for (const [name, reading] of news) assert.ok(says(reading), name);
  });
});
