import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { aRollout, aSpec, aWorker } from '../../../test/support/pool_views.ts';
import { judge, NO_CALLS } from './judge.ts';
import { qualityOf } from './quality.ts';
import { type RolloutInput, stepRollout } from './step.ts';
import type { RevisionQuality, RolloutState, UpdatePolicy } from './types.ts';

const POLICY: UpdatePolicy = {
  ...aSpec().update,
  onFailure: 'Rollback',
  canary: { workers: 1, minCalls: 20, maxSeconds: 900, maxSetupFailurePercent: 5, maxResponseRatio: 1.5 },
};
const quality = (changes: Partial<RevisionQuality> = {}): RevisionQuality => ({ ...NO_CALLS, ready: 1, ...changes });
const answers = (count: number, seconds: number) => ({ responses: count, responseSeconds: count * seconds });

describe('verdict on a new revision', () => {
  const cases: [string, Partial<RevisionQuality>, Partial<RevisionQuality>, 'good' | 'bad' | 'open'][] = [
    ['too few calls', { setups: 19 }, { setups: 500 }, 'open'],
    ['enough good calls', { setups: 20, setupFailures: 1 }, { setups: 500 }, 'good'],
    ['two of its first three failed', { setups: 3, setupFailures: 2 }, { setups: 500 }, 'bad'],
    ['one of its first three failed, which is not enough to tell', { setups: 3, setupFailures: 1 }, {}, 'open'],
    [
      'it fails, but the old one fails as often',
      { setups: 30, setupFailures: 9 },
      { setups: 500, setupFailures: 150 },
      'good',
    ],
    ['it answers slowly', { setups: 20, ...answers(20, 1.2) }, { setups: 50, ...answers(500, 0.6) }, 'bad'],
    ['it answers a little slower', { setups: 20, ...answers(20, 0.8) }, { ...answers(500, 0.6) }, 'good'],
    [
      'three times as slow by chance: ten milliseconds that nobody hears',
      { setups: 20, ...answers(20, 0.015) },
      { ...answers(500, 0.005) },
      'good',
    ],
    ['slow, but nothing to compare with', { setups: 20, ...answers(20, 9) }, { ...answers(3, 0.6) }, 'good'],
    ['its image is not there', { broken: 1, brokenReason: 'w: not found' }, { setups: 500 }, 'bad'],
  ];
  for (const [name, update, stable, expected] of cases) {
    it(`${name}: ${expected}`, () => {
      const verdict = judge(quality(update), quality(stable), POLICY);
      assert.equal(verdict.kind, expected, verdict.reason);
    });
  }
});

describe('roll-out', () => {
  const input = (
    changes: Partial<RolloutInput> & { of?: Record<string, Partial<RevisionQuality>> } = {},
  ): RolloutInput => ({
    nowMs: 1_000,
    desired: 'r2',
    policy: POLICY,
    present: new Set(['r1', 'r2']),
    admitting: new Map([['r1', 2]]),
    quality: (revision) => quality(changes.of?.[revision]),
    ...changes,
  });
  const during = (phase: RolloutState['phase'], changes: Partial<RolloutState> = {}) =>
    aRollout({ phase, stable: 'r1', update: 'r2', ...changes });
  const phase = (state: RolloutState, given: RolloutInput) => stepRollout(state, given).phase;

  it('begins with a canary, or at once without one, and not at all in an empty pool', () => {
    assert.equal(phase(aRollout(), input()), 'Canary');
    assert.equal(
      phase(aRollout(), input({ policy: { ...POLICY, canary: { ...POLICY.canary, workers: 0 } } })),
      'Rolling',
    );
    assert.deepEqual(pick(stepRollout(aRollout(), input({ present: new Set() }))), ['Stable', 'r2', 'r2']);
  });

  it('goes on when the canary was good, or nothing worse was seen for long enough by a worker that serves', () => {
    assert.equal(phase(during('Canary'), input({ of: { r2: { setups: 20 } } })), 'Rolling');
    const late = { nowMs: 901_000 };
    assert.equal(phase(during('Canary'), input({ ...late, of: { r2: { setups: 3 } } })), 'Rolling');
    assert.equal(phase(during('Canary'), input({ ...late, of: { r2: { ready: 0 } } })), 'Canary');
  });

  it('is rolled back or paused by its policy when the new revision is worse, also half-way, and stays so', () => {
    const bad = { of: { r2: { setups: 10, setupFailures: 5 } } };
    for (const at of ['Canary', 'Rolling'] as const) {
      const back = stepRollout(during(at), input(bad));
      assert.deepEqual([...pick(back), back.failed], ['RolledBack', 'r1', 'r2', true]);
      assert.match(back.reason, /5 of 10 call set-ups failed/);
      assert.equal(stepRollout(back, input()), back, 'good figures later do not revive it');
      const paused = stepRollout(during(at), input({ ...bad, policy: { ...POLICY, onFailure: 'Pause' } }));
      assert.deepEqual([...pick(paused), paused.failed], ['Paused', 'r1', 'r2', true]);
      assert.equal(stepRollout(paused, input()), paused);
    }
  });

  it('is over when only the new revision admits calls', () => {
    assert.equal(phase(during('Rolling'), input()), 'Rolling');
    const done = stepRollout(
      during('Rolling'),
      input({
        admitting: new Map([
          ['r2', 2],
          ['r1', 0],
        ]),
      }),
    );
    assert.deepEqual(pick(done), ['Stable', 'r2', 'r2']);
  });

  it('ends a failure with another document, and with the old one', () => {
    const failed = during('RolledBack', { failed: true });
    const third = stepRollout(failed, input({ desired: 'r3' }));
    assert.deepEqual([...pick(third), third.failed], ['Canary', 'r1', 'r3', false]);
    const old = stepRollout(failed, input({ desired: 'r1' }));
    assert.deepEqual([...pick(old), old.failed], ['Stable', 'r1', 'r1', false]);
  });

  it('holds while update.paused is set and begins again after', () => {
    const policy = { ...POLICY, paused: true };
    assert.equal(phase(aRollout(), input({ policy })), 'Paused');
    assert.equal(phase(during('Rolling'), input({ policy })), 'Paused');
    assert.equal(phase(during('Paused'), input({ policy })), 'Paused');
    assert.equal(phase(during('Paused'), input()), 'Canary');
  });

  it('never makes a revision the proven one that was judged bad', () => {
    const step = fc.record({
      setups: fc.nat({ max: 40 }),
      failures: fc.nat({ max: 40 }),
      rolled: fc.boolean(),
      paused: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let state = aRollout();
        let judgedBad = false;
        for (const { setups, failures, rolled, paused } of steps) {
          const r2 = { setups, setupFailures: Math.min(failures, setups) };
          const admitting = new Map(
            rolled
              ? [['r2', 2]]
              : [
                  ['r1', 1],
                  ['r2', 1],
                ],
          );
          state = stepRollout(state, input({ of: { r2 }, admitting, policy: { ...POLICY, paused } }));
          judgedBad ||= state.failed;
          if (judgedBad) assert.equal(state.stable, 'r1');
        }
      }),
    );
  });
});

describe('quality of a revision', () => {
  it('sums its workers and names one that will not start; a full cluster is not its fault', () => {
    const trouble = (kind: 'image' | 'unschedulable') => ({ kind, reason: 'X', message: 'not found' });
    const starting = { presence: 'starting', figures: undefined, revision: 'r2' } as const;
    const workers = [
      aWorker('a'),
      aWorker('b', { revision: 'r2' }),
      aWorker('c', { ...starting, ageMs: 1, trouble: trouble('image') }),
      aWorker('d', { ...starting, trouble: trouble('unschedulable') }),
      aWorker('e', { ...starting, ageMs: 1 }),
      aWorker('f', { ...starting, ageMs: 100_000, stopping: true }),
    ];
    const { ready, broken, brokenReason } = qualityOf(workers, 'r2');
    assert.deepEqual([ready, broken, brokenReason], [1, 1, 'c: not found']);
    assert.equal(qualityOf([aWorker('g', { ...starting, ageMs: 61_000 })], 'r2').broken, 1);
  });
});

const pick = ({ phase, stable, update }: RolloutState) => [phase, stable, update];
