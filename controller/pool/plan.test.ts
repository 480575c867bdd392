import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { aView, aWorker } from '../../test/support/pool_views.ts';
import { type Action, plan } from './plan.ts';
import { START_DEADLINE_MS } from './policies/ending.ts';
import { SILENT_MS } from './policies/silent.ts';
import { byVictimOrder } from './victims.ts';
import { heldBy, isAdmitting, type PoolView, type WorkerView } from './view.ts';

const kinds = (actions: readonly Action[]) =>
  actions.map((action) => ('worker' in action ? `${action.kind} ${action.worker}` : action.kind));
const drained = (id: string, changes: Parameters<typeof aWorker>[1] = {}) =>
  aWorker(id, { admission: 'draining', ...changes });

describe('plan', () => {
  it('does nothing in a settled pool', () => {
    assert.deepEqual(plan(aView([aWorker('a'), aWorker('b', { calls: 3 })]), 2), []);
  });

  it('makes what is missing and counts what is on its way', () => {
    assert.deepEqual(kinds(plan(aView([aWorker('a')]), 3)), ['create', 'create']);
    assert.deepEqual(kinds(plan(aView([aWorker('a')], { pendingCreates: ['r1'] }), 3)), ['create']);
    assert.deepEqual(kinds(plan(aView([aWorker('a'), aWorker('b', { presence: 'starting', ageMs: 0 })]), 2)), []);
  });

  it('marks an ended worker gone and replaces it in the same pass', () => {
    assert.deepEqual(kinds(plan(aView([aWorker('a', { presence: 'ended' }), aWorker('b')]), 2)), [
      'markGone a',
      'create',
    ]);
  });

  it('holds starts back while workers crash', () => {
    assert.deepEqual(plan(aView([], { crashes: { streak: 3, holdMs: 2_000 } }), 2), []);
  });

  it('retires the surplus with the fewest calls, never one whose calls are unknown', () => {
    const view = aView([
      aWorker('a', { calls: 2 }),
      aWorker('b', { calls: 1 }),
      aWorker('c', { figures: undefined, leases: undefined }),
      aWorker('d', { calls: 1, revision: 'r0' }),
    ]);
    assert.deepEqual(
      kinds(plan({ ...view, workers: view.workers.map((worker) => ({ ...worker, revision: 'r1' })) }, 3)),
      ['drain b'],
    );
    const unknown = aView([aWorker('a', { figures: undefined, leases: undefined })]);
    assert.deepEqual(plan(unknown, 0), []);
  });

  it('deletes a draining worker only when nothing holds it', () => {
    const holds: [string, Parameters<typeof aWorker>[1]][] = [
      ['a call', { calls: 1 }],
      ['a lease without a call', { leases: 1 }],
      ['leases unknown', { leases: undefined }],
      ['figures stale', { figures: undefined }],
      ['figures from before the cordon', { figuresAfterCordon: false }],
      ['a relayed socket', figuresWith({ relayedSockets: 1 })],
      ['an unsent record', figuresWith({ unsentRecords: 1 })],
      ['unsent records unknown', figuresWith({ unsentRecords: undefined })],
      ['already leaving', { leaving: true }],
      ['already stopping', { stopping: true }],
    ];
    for (const [name, changes] of holds) {
      assert.deepEqual(plan(aView([aWorker('a'), aWorker('b'), drained('c', changes)]), 2), [], name);
    }
    assert.deepEqual(kinds(plan(aView([aWorker('a'), aWorker('b'), drained('c')]), 2)), ['delete c']);
    assert.deepEqual(plan(aView([aWorker('a'), aWorker('b'), aWorker('c', { admission: 'cordoned' })]), 2), []);
  });

  it('rolls one at a time, with one worker more while old ones are there', () => {
    const old = (id: string, changes = {}) => aWorker(id, { revision: 'r0', ...changes });
    assert.deepEqual(kinds(plan(aView([old('a'), old('b')]), 2)), ['create']);
    assert.deepEqual(plan(aView([old('a'), old('b'), aWorker('n', { presence: 'starting', ageMs: 0 })]), 2), []);
    assert.deepEqual(kinds(plan(aView([old('a', { calls: 2 }), old('b'), aWorker('n')]), 2)), ['drain b', 'create']);
    const second = aView([old('a'), drained('b', { revision: 'r0', calls: 1 }), aWorker('n')]);
    assert.deepEqual(kinds(plan(second, 2)), ['create'], 'a long call on the first does not hold up the roll-out');
  });

  it('ends a worker that never serves, unless a lease names it', () => {
    const stuck = { presence: 'starting', ageMs: START_DEADLINE_MS + 1, figures: undefined } as const;
    assert.deepEqual(kinds(plan(aView([aWorker('a'), aWorker('s', { ...stuck, leases: 0 })]), 2)), [
      'delete s',
      'create',
    ]);
    assert.deepEqual(plan(aView([aWorker('a'), aWorker('s', { ...stuck, leases: 1 })]), 2), []);
  });

  it('cordons a silent worker, makes another, and admits it again when it speaks', () => {
    const silent = { figures: undefined, figuresAgeMs: SILENT_MS + 1 };
    const [cordon, create] = plan(aView([aWorker('a'), aWorker('b', silent)]), 2);
    assert.deepEqual(kinds([cordon, create].filter((action) => action !== undefined)), ['cordon b', 'create']);
    assert.ok(cordon);
    const back = aWorker('b', { admission: 'cordoned', admissionReason: cordon.reason });
    assert.deepEqual(kinds(plan(aView([aWorker('a'), aWorker('c'), back]), 2)), ['admit b', 'drain a']);
    assert.deepEqual(
      plan(aView([aWorker('a', silent), aWorker('b', silent)]), 2),
      [],
      'all silent: rather our own fault',
    );
  });

  it('breaks ties in the named order', () => {
    const order = byVictimOrder(aView([]), [
      aWorker('old', { revision: 'r0', calls: 1 }),
      aWorker('busy', { calls: 5 }),
      aWorker('elder', { ageMs: 900_000 }),
      aWorker('young', { ageMs: 1_000 }),
      aWorker('b-twin', { ageMs: 1_000 }),
      aWorker('r0-idle', { revision: 'r0' }),
      aWorker('unknown', { figures: undefined, leases: undefined }),
    ]);
    assert.deepEqual(
      order.map(({ id }) => id),
      ['r0-idle', 'b-twin', 'young', 'elder', 'old', 'busy', 'unknown'],
    );
  });
});

describe('plan, any pool', () => {
  const worker = fc
    .record({
      presence: fc.constantFrom('starting', 'serving', 'ended'),
      admission: fc.constantFrom('admitting', 'cordoned', 'draining'),
      revision: fc.constantFrom('r0', 'r1'),
      calls: fc.nat({ max: 3 }),
      leases: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
      relayedSockets: fc.nat({ max: 1 }),
      unsentRecords: fc.nat({ max: 1 }),
      blind: fc.boolean(),
      figuresAfterCordon: fc.boolean(),
      stopping: fc.boolean(),
      ageMs: fc.nat({ max: 200_000 }),
    } as const)
    .map(({ calls, relayedSockets, unsentRecords, blind, ...rest }) => {
      const { figures } = aWorker('x', { calls });
      return { ...rest, figures: blind || !figures ? undefined : { ...figures, relayedSockets, unsentRecords } };
    });
  const pool = fc
    .array(worker, { maxLength: 8 })
    .map((list) => list.map((changes, index) => aWorker(`w${index}`, changes)));

  it('deletes no worker with calls, leases, relayed sockets or unsent records, and names each worker once', () => {
    fc.assert(
      fc.property(pool, fc.nat({ max: 6 }), (workers, wanted) => {
        const actions = plan(aView(workers), wanted);
        const named = actions.flatMap((action) => ('worker' in action ? [action.worker] : []));
        assert.equal(new Set(named).size, named.length);
        for (const action of actions) {
          const target = workers.find(({ id }) => 'worker' in action && id === action.worker);
          if (action.kind !== 'delete' || !target) continue;
          assert.ok(target.leases === 0);
          assert.ok(
            action.force
              ? target.presence === 'starting'
              : heldBy(target).length === 0 && target.admission === 'draining',
          );
        }
      }),
    );
  });

  it('comes to rest at the wanted number when its actions are carried out', () => {
    fc.assert(
      fc.property(pool, fc.integer({ min: 1, max: 5 }), (workers, wanted) => {
        let view = aView(
          workers.map((one) => ({
            ...one,
            figures: aWorker('x').figures,
            leases: 0,
            stopping: false,
            figuresAfterCordon: true,
          })),
        );
        for (let pass = 0; pass < 60; pass++) {
          const actions = plan(view, wanted);
          if (actions.length === 0 && !view.workers.some(({ presence }) => presence === 'starting')) break;
          view = carryOut(view, actions, pass);
        }
        assert.deepEqual(plan(view, wanted), []);
        assert.equal(view.workers.filter(isAdmitting).length, wanted);
        assert.ok(view.workers.filter(isAdmitting).every(({ revision }) => revision === 'r1'));
      }),
      { numRuns: 60 },
    );
  });
});

function figuresWith(changes: Partial<NonNullable<WorkerView['figures']>>): Partial<WorkerView> {
  const { figures } = aWorker('x');
  return figures ? { figures: { ...figures, ...changes } } : {};
}

function carryOut(view: PoolView, actions: readonly Action[], pass: number): PoolView {
  let workers = view.workers.map((worker) =>
    worker.presence === 'starting' ? { ...worker, presence: 'serving' as const } : worker,
  );
  for (const [index, action] of actions.entries()) {
    if (action.kind === 'create') {
      const { revision } = action;
      workers.push(aWorker(`n${pass}-${index}`, { presence: 'starting', ageMs: 0, revision }));
    } else if (action.kind === 'markGone' || action.kind === 'delete')
      workers = workers.filter(({ id }) => id !== action.worker);
    else {
      const admission = ({ admit: 'admitting', cordon: 'cordoned', drain: 'draining' } as const)[action.kind];
      workers = workers.map((worker) =>
        worker.id === action.worker ? { ...worker, admission, figuresAfterCordon: true } : worker,
      );
    }
  }
  return { ...view, workers };
}
