import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aRollout, aSpec, aView, aWorker } from '../../../test/support/pool_views.ts';
import type { HostState } from '../../runtime/ports.ts';
import { type Action, plan } from '../plan.ts';
import type { RolloutState } from '../rollout/types.ts';
import type { PoolView, WorkerView } from '../view.ts';
import { LOST_MS, UNREACHABLE_REASON } from './hosts.ts';

const says = (actions: readonly Action[]) =>
  actions.map((action) => (action.kind === 'create' ? `create ${action.revision}` : `${action.kind} ${action.worker}`));
const planned = (workers: WorkerView[], wanted: number, changes: Partial<PoolView> = {}) =>
  says(plan(aView(workers, changes), wanted));
const on = (name: string, state: HostState) => ({ host: { name, state } });

describe('a node that is being emptied', () => {
  it('loses its workers to a drain with the deadline of the pool, and they are replaced at once', () => {
    const spec = aSpec({ drain: { ...aSpec().drain, externalDeadlineSeconds: 120 } });
    const actions = plan(
      aView([aWorker('a', { calls: 3, ...on('n1', 'leaving') }), aWorker('b', on('n2', 'usable'))], { spec }),
      2,
    );
    assert.deepEqual(says(actions), ['drain a', 'create r1']);
    assert.equal(actions[0]?.kind === 'drain' && actions[0].deadlineMs, 120_000);
  });

  it('keeps the last worker that takes calls until another does', () => {
    const leaving = [aWorker('a', on('n1', 'leaving')), aWorker('b', on('n1', 'leaving'))];
    assert.deepEqual(planned(leaving, 2), ['create r1', 'create r1']);
    const starting = aWorker('c', { presence: 'starting', ageMs: 0, ...on('n2', 'usable') });
    assert.deepEqual(planned([...leaving, starting, { ...starting, id: 'd' }], 2), []);
  });
});

describe('a node that gives no sign of life', () => {
  it('keeps its workers and their calls; new calls go elsewhere, until it is back', () => {
    const alive = aWorker('a', { calls: 3, ...on('n1', 'unreachable') });
    assert.deepEqual(planned([alive, aWorker('b', on('n2', 'usable'))], 2), ['cordon a', 'create r1']);
    const cordoned = { admission: 'cordoned', admissionReason: UNREACHABLE_REASON } as const;
    assert.deepEqual(planned([{ ...alive, ...cordoned }, aWorker('b'), aWorker('c')], 2), []);
    const back = { ...alive, ...cordoned, ...on('n1', 'usable') };
    assert.deepEqual(planned([back, aWorker('b')], 2), ['admit a']);
  });

  it('changes nothing when no node gives one: that is trouble of the control plane', () => {
    const both = [aWorker('a', { calls: 3, ...on('n1', 'unheard') }), aWorker('b', on('n2', 'unheard'))];
    assert.deepEqual(planned(both, 2), []);
    const cordoned = { admission: 'cordoned', admissionReason: UNREACHABLE_REASON } as const;
    assert.deepEqual(planned([aWorker('a', { ...cordoned, ...on('n1', 'unheard') }), aWorker('b')], 2), ['admit a']);
  });

  it('is not answered with workers without end when those that stand in get out of reach as well', () => {
    const lost = (count: number) =>
      Array.from({ length: count }, (_, at) => aWorker(`w${at}`, on('n1', 'unreachable')));
    assert.deepEqual(planned(lost(2), 2), ['create r1', 'create r1']);
    assert.deepEqual(planned(lost(3), 2), ['create r1']);
    assert.deepEqual(planned(lost(4), 2), []);
  });

  it('takes a worker with it that has told nothing for long and holds no lease any more', () => {
    const silent = {
      ...on('n1', 'unreachable'),
      figures: undefined,
      figuresAgeMs: LOST_MS + 1,
      admission: 'cordoned',
      admissionReason: UNREACHABLE_REASON,
    } as const;
    const others = [aWorker('b'), aWorker('c')];
    assert.deepEqual(planned([aWorker('a', { ...silent, leases: 1 }), ...others], 2), []);
    assert.deepEqual(planned([aWorker('a', { ...silent, leases: undefined }), ...others], 2), []);
    const [gone] = plan(aView([aWorker('a', { ...silent, leases: 0 }), ...others]), 2);
    assert.deepEqual([gone?.kind, gone?.kind === 'delete' && gone.force], ['delete', true]);
  });
});

describe('a worker that cannot start', () => {
  const stuck = (kind: 'image' | 'configuration' | 'crashLoop' | 'unschedulable') =>
    aWorker('s', {
      presence: 'starting',
      ageMs: 600_000,
      figures: undefined,
      leases: 0,
      trouble: { kind, reason: 'X', message: 'm' },
    });

  it('is left where another would wait for the same, and replaced where it might not', () => {
    for (const kind of ['image', 'configuration', 'unschedulable'] as const)
      assert.deepEqual(planned([aWorker('a'), stuck(kind)], 2), [], kind);
    assert.deepEqual(planned([aWorker('a'), stuck('crashLoop')], 2), ['delete s', 'create r1']);
  });
});

describe('an order from outside', () => {
  it('drains the one worker that it names, and every worker of a deleted pool', () => {
    assert.deepEqual(planned([aWorker('a', { drainAsked: true }), aWorker('b')], 2), ['drain a', 'create r1']);
    const cordoned = aWorker('c', { admission: 'cordoned' });
    assert.deepEqual(planned([aWorker('a'), aWorker('b', { calls: 2 }), cordoned], 0, { deleting: true }), [
      'drain a',
      'drain b',
      'drain c',
    ]);
    const drained = aWorker('a', { admission: 'draining' });
    assert.deepEqual(planned([drained], 0, { deleting: true }), ['delete a']);
  });

  it('ends the workers of a deleted pool in order where nobody can ask them', () => {
    const drained = aWorker('b', { admission: 'draining', calls: 2 });
    const actions = plan(aView([aWorker('a', { calls: 1 }), drained], { deleting: true, linked: false }), 0);
    assert.deepEqual(
      actions.map((action) => action.kind === 'delete' && [action.worker, action.force]),
      [
        ['a', false],
        ['b', false],
      ],
    );
    const stopping = [aWorker('a', { stopping: true, calls: 1 })];
    assert.deepEqual(planned(stopping, 0, { deleting: true, linked: false }), []);
  });

  it('makes no worker while something outside the document is missing', () => {
    assert.deepEqual(planned([aWorker('a')], 2, { blocked: 'there is no Secret' }), []);
  });
});

describe('revisions in the plan', () => {
  const during = (phase: RolloutState['phase']) => ({ rollout: aRollout({ phase, update: 'r2' }) });
  const next = (id: string, changes = {}) => aWorker(id, { revision: 'r2', ...changes });

  it('a canary comes on top and nothing is replaced', () => {
    assert.deepEqual(planned([aWorker('a'), aWorker('b')], 2, during('Canary')), ['create r2']);
    assert.deepEqual(planned([aWorker('a'), next('n')], 2, during('Canary')), ['create r1']);
    assert.deepEqual(planned([aWorker('a'), aWorker('b'), next('n')], 2, during('Canary')), []);
    assert.deepEqual(planned([aWorker('a'), aWorker('b'), next('n'), next('o', { calls: 1 })], 2, during('Canary')), [
      'drain n',
    ]);
  });

  it('rolling replaces `maxSurge` at a time', () => {
    const update = { ...aSpec().update, maxSurge: 2 };
    const changes = { ...during('Rolling'), spec: aSpec({ update }) };
    const old = ['a', 'b', 'c'].map((id) => aWorker(id));
    assert.deepEqual(planned(old, 3, changes), ['create r2', 'create r2']);
    assert.deepEqual(planned([...old, next('n'), next('o')], 3, changes), ['drain a', 'drain b', 'create r2']);
  });

  it('a paused roll-out keeps both and makes missing ones of the proven revision', () => {
    assert.deepEqual(planned([aWorker('a'), next('n')], 3, during('Paused')), ['create r1']);
  });

  it('a roll-back takes the bad ones out as soon as the others can carry the pool, and idle ones at once', () => {
    const back = during('RolledBack');
    assert.deepEqual(planned([aWorker('a'), aWorker('b'), next('n', { calls: 2 })], 2, back), ['drain n']);
    const starting = next('s', { presence: 'starting', ageMs: 0, leases: 0 });
    assert.deepEqual(planned([aWorker('a'), next('n'), starting], 2, back), ['drain s', 'create r1']);
    assert.deepEqual(planned([{ ...starting, admission: 'draining' }, aWorker('a'), aWorker('b')], 2, back), [
      'delete s',
    ]);
    assert.deepEqual(planned([next('n'), next('o')], 2, back), ['create r1', 'create r1']);
    assert.deepEqual(planned([next('n'), next('o'), aWorker('a')], 2, back), ['drain n', 'create r1']);
  });
});

describe('whom to retire', () => {
  const choice = (workers: WorkerView[]) => {
    const [action] = plan(aView(workers), workers.length - 1);
    return action?.kind === 'drain' ? [action.worker, action.candidates?.map(({ worker }) => worker)] : [];
  };

  it('is the one whose calls are expected to end first, then the one that empties a node', () => {
    const aged = (id: string, meanCallAgeSeconds: number) => {
      const worker = aWorker(id, { calls: 2 });
      return { ...worker, figures: worker.figures && { ...worker.figures, meanCallAgeSeconds } };
    };
    const lengths = { seconds: [60, 600], counts: [90, 100], total: 100 };
    const [action] = plan(aView([aged('old', 300), aged('new', 5)], { callLengths: lengths }), 1);
    assert.equal(
      action?.kind === 'drain' && action.worker,
      'new',
      'most calls are short; those that have lasted will last',
    );
    assert.deepEqual(choice([aWorker('a', { neighbours: 3 }), aWorker('b', { neighbours: 0 })]), ['b', ['b', 'a']]);
  });
});
