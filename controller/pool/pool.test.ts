import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../../platform/manual_clock.ts';
import { aRollout, aSpec, aView, aWorker } from '../../test/support/pool_views.ts';
import { conditionsOf } from './conditions.ts';
import { CRASH_LOOP_STREAK, countCrash, crashView, NO_CRASHES } from './crash_backoff.ts';
import { RefusedDemand } from './demand.ts';
import { Expectations } from './expectations.ts';
import type { ConditionType } from './finding.ts';
import { revisionOf } from './pool_note.ts';
import { decide, initialMemory } from './scaling/decide.ts';
import { Scaler } from './scaling/scaler.ts';
import { statusOf } from './status.ts';
import type { PoolView } from './view.ts';

const NO_IMAGE = { kind: 'image', reason: 'ErrImagePull', message: 'not found' } as const;
const NOW = '2026-01-01T00:00:00.000Z';

describe('conditions', () => {
  const holds = (view: PoolView): ConditionType[] => {
    const scaler = new Scaler({ spec: view.spec, wanted: 2, clock: new ManualClock() });
    const conditions = conditionsOf(view, scaler.decide(view), [], [], NOW);
    assert.equal(new Set(conditions.map(({ type }) => type)).size, conditions.length);
    assert.ok(conditions.every(({ reason, message }) => /^[A-Z][A-Za-z]+$/.test(reason) && message.length > 0));
    return conditions.filter(({ status }) => status === 'True').map(({ type }) => type);
  };
  const settled = [aWorker('a'), aWorker('b')];

  it('say what is true of the pool, and only that', () => {
    const baseline = aWorker('x').figures;
    const high = baseline && { ...baseline, memoryBytes: 400 * 2 ** 20, memoryBaselineBytes: 400 * 2 ** 20 };
    const cases: [string, PoolView, ConditionType[]][] = [
      ['settled', aView(settled), ['Ready']],
      ['one missing', aView([aWorker('a')]), ['Progressing']],
      [
        'no image',
        aView([...settled, aWorker('c', { presence: 'starting', trouble: NO_IMAGE })], {
          spec: aSpec({ minWorkers: 2 }),
        }),
        ['Ready', 'Progressing', 'WorkersNotStarting'],
      ],
      [
        'node lost',
        aView([...settled, aWorker('c', { admission: 'cordoned', host: { name: 'n1', state: 'unreachable' } })]),
        ['Ready', 'NodeUnreachable'],
      ],
      [
        'worse revision',
        aView(settled, { rollout: aRollout({ phase: 'RolledBack', update: 'r2', failed: true }) }),
        ['Ready', 'Progressing', 'RolloutFailed'],
      ],
      ['deleted', aView(settled, { deleting: true }), ['Ready', 'Terminating']],
      ['draining', aView([...settled, aWorker('c', { admission: 'draining', calls: 1 })]), ['Ready', 'Progressing']],
      ['rolling', aView([...settled, aWorker('c', { revision: 'r0' })]), ['Ready', 'Progressing']],
      [
        'figures missing',
        aView([...settled, aWorker('c', { figures: undefined, admission: 'cordoned' })]),
        ['Ready', 'ScalingFrozen'],
      ],
      [
        'Redis away',
        aView(settled, { redis: { state: 'unavailable' } }),
        ['Ready', 'ScalingFrozen', 'RedisUnavailable'],
      ],
      ['recovering', aView(settled, { redis: { state: 'recovering', refusedTotal: 0 } }), ['Ready', 'Recovering']],
      [
        'crash loop',
        aView(settled, { crashes: { streak: CRASH_LOOP_STREAK, holdMs: 4_000 } }),
        ['Ready', 'WorkerCrashLoop'],
      ],
      [
        'baseline',
        aView([aWorker('a', { figures: high }), aWorker('b', { figures: high })]),
        ['Ready', 'MemoryBaselineHigh'],
      ],
      [
        'limited',
        aView([aWorker('a', { calls: 10 }), aWorker('b', { calls: 10 })], { spec: aSpec({ maxWorkers: 2 }) }),
        ['Ready', 'ScalingLimited'],
      ],
    ];
    for (const [name, view, expected] of cases) assert.deepEqual(holds(view), expected, name);
  });

  it('move the transition time only when the status changes', () => {
    const first = conditionsOf(aView(settled), undefined, [], [], NOW);
    const later = conditionsOf(aView([aWorker('a')]), undefined, [], first, '2026-01-02T00:00:00.000Z');
    const at = (type: ConditionType) => later.find((condition) => condition.type === type)?.lastTransitionTime;
    assert.equal(at('Ready'), '2026-01-02T00:00:00.000Z');
    assert.equal(at('Recovering'), NOW);
  });
});

describe('status', () => {
  it('counts admitting workers as replicas, and calls of draining ones too', () => {
    const view = aView([
      aWorker('a', { calls: 3 }),
      aWorker('b', { presence: 'starting', figures: undefined }),
      aWorker('c', { admission: 'draining', calls: 2 }),
      aWorker('d', { presence: 'ended', calls: 9 }),
    ]);
    const status = statusOf(view, {
      generation: 4,
      wanted: 2,
      conditions: conditionsOf(view, undefined, [], [], NOW),
      lastScaling: undefined,
    });
    const { replicas, readyWorkers, drainingWorkers, activeCalls, capacity, utilizationPercent, phase } = status;
    assert.deepEqual(
      { replicas, readyWorkers, drainingWorkers, activeCalls, capacity, utilizationPercent, phase },
      {
        replicas: 2,
        readyWorkers: 1,
        drainingWorkers: 1,
        activeCalls: 5,
        capacity: 10,
        utilizationPercent: 50,
        phase: 'Degraded',
      },
    );
    assert.deepEqual(status.waitingFor, ['b to serve', 'c drains: 2 leases, 2 calls']);
  });
});

describe('revision', () => {
  it('changes with what a worker takes at its start, and with nothing else', () => {
    const base = revisionOf(aSpec());
    assert.equal(
      revisionOf(aSpec({ minWorkers: 3, maxWorkers: 9, slotsPerWorker: 5, placement: { strategy: 'Pack' } })),
      base,
    );
    const { environment, ...rest } = aSpec();
    assert.equal(revisionOf({ ...rest, environment }), base, 'order means nothing');
    const { update: _update, secretName: _secretName, ...older } = aSpec();
    assert.equal(revisionOf(older as ReturnType<typeof aSpec>), base, 'a field that an older release did not know');
    const { redis } = aSpec();
    assert.equal(revisionOf(aSpec({ redis: { ...redis, scaleAt: { ...redis.scaleAt, memoryPercent: 60 } } })), base);
    assert.notEqual(revisionOf(aSpec({ worker: { ...aSpec().worker, memoryLimitMiB: 1024 } })), base);
  });
});

describe('crash back-off', () => {
  it('replaces the first at once, then waits 1 s doubling to 60 s, and forgets', () => {
    let state = NO_CRASHES;
    const holds: number[] = [];
    for (let crash = 0; crash < 10; crash++) {
      state = countCrash(state, 100, 1_000);
      holds.push(crashView(state, 1_000).holdMs);
    }
    assert.deepEqual(holds, [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    assert.equal(crashView(state, 61_001).holdMs, 0);
    assert.equal(crashView(state, 500_000).streak, 0);
    assert.equal(countCrash(state, 3_600_000, 2_000).streak, 0, 'a long life is no crash loop');
  });
});

describe('expectations', () => {
  it('last until the list shows the write, it is dropped, or they expire', () => {
    const clock = new ManualClock();
    const expectations = new Expectations(clock);
    expectations.expectCreate('a', 'r1');
    expectations.expectCreate('b', 'r2');
    expectations.expectDelete('c');
    expectations.observe([
      { id: 'a', presence: 'starting', stopping: false },
      { id: 'c', presence: 'serving', stopping: false },
    ]);
    assert.deepEqual(expectations.pendingCreates, ['r2']);
    assert.ok(expectations.isLeaving('c'));
    expectations.observe([{ id: 'c', presence: 'serving', stopping: true }]);
    assert.ok(!expectations.isLeaving('c'));
    clock.advance(300_001);
    expectations.observe([]);
    assert.deepEqual(expectations.pendingCreates, []);
    expectations.expectCreate('d', 'r1');
    expectations.drop('d');
    assert.deepEqual(expectations.pendingCreates, []);
  });
});

describe('refused demand', () => {
  it('counts growth only, for a minute, also when the counter starts anew', () => {
    const demand = new RefusedDemand();
    demand.observe(100, 0);
    assert.equal(demand.within(0), 0, 'refusals from before this controller');
    demand.observe(107, 1_000);
    demand.observe(2, 2_000);
    assert.equal(demand.within(2_000), 9);
    assert.equal(demand.within(61_500), 2);
    assert.equal(demand.within(70_000), 0);
    for (let second = 0; second < 1_000; second++) demand.observe(3 + second, 70_000);
    assert.equal(demand.within(70_000), 1_000, 'joined, not lost');
  });
});

describe('scaler', () => {
  it('decides at the interval, at once after a write to /scale or a changed document', () => {
    const clock = new ManualClock();
    const scaler = new Scaler({ spec: aSpec(), wanted: 2, clock });
    const view = aView([aWorker('a'), aWorker('b')], { nowMs: 10_000 });
    assert.equal(scaler.decide(view)?.verdict, 'Steady');
    assert.equal(scaler.decide({ ...view, nowMs: 12_000 }), undefined);
    assert.equal(scaler.decide({ ...view, nowMs: 12_000, spec: aSpec({ minWorkers: 4 }) })?.wanted, 4);
    clock.advance(12_000);
    scaler.request(6, aSpec());
    assert.equal(scaler.decide({ ...view, nowMs: 13_000 })?.wanted, 6);
    assert.equal(scaler.last?.floor, 6);
  });

  it('starts no lower than what runs', () => {
    assert.equal(new Scaler({ spec: aSpec(), wanted: 7, clock: new ManualClock() }).wanted, 7);
    assert.equal(decide(initialMemory(7, 2, 10), { ...idleInput(), workers: [] }).memory.wanted, 7);
  });
});

function idleInput(): Parameters<typeof decide>[1] {
  const spec = aSpec();
  return {
    nowMs: 0,
    minWorkers: spec.minWorkers,
    maxWorkers: spec.maxWorkers,
    slotsPerWorker: spec.slotsPerWorker,
    memoryLimitBytes: 512 * 2 ** 20,
    scaling: spec.scaling,
    workers: [],
    refusedCalls: 0,
    offered: undefined,
    scheduleFloor: 0,
    requestedReplicas: undefined,
    floorUntilMs: undefined,
  };
}
