import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ScalingModel } from '../../../test/support/scaling_model.ts';
import { Explanations } from './explanations.ts';

/** Decisions of a pool that grows under load. */
const decisions = new ScalingModel({
  ...{ seed: 1, seconds: 900, slots: 20, minWorkers: 2, maxWorkers: 60, startDelayS: 15, metricsDelayS: 2 },
  ...{ meanCallS: 120, offered: (second: number) => (second < 300 ? 5 : 60), redialShare: 0 },
  ...{ baselineShare: 0.3, perCallBytes: 2 ** 20 },
})
  .run()
  .flatMap(({ decision }) => decision ?? []);

describe('explanations', () => {
  it('keep changes and fold repetitions', () => {
    const ring = new Explanations();
    for (const [at, decision] of decisions.entries()) ring.addScaling('p', decision, at);
    const entries = ring.list('p').flatMap((entry) => (entry.kind === 'scale' ? [entry] : []));
    const known = new Set(entries.map(({ verdict }) => verdict));
    for (const verdict of ['Steady', 'BreachSeen', 'ScaledUp'] as const) assert.ok(known.has(verdict), verdict);
    const told = entries.reduce((total, { repeats }) => total + repeats + 1, 0);
    assert.equal(told, decisions.length, 'every decision is in one of them');
    assert.ok(entries.length < decisions.length);
    for (const [at, entry] of entries.entries()) {
      const next = entries[at + 1];
      assert.ok(!next || next.verdict !== entry.verdict || next.wanted !== entry.wanted, 'two alike are one');
    }
  });

  it('are bounded, and newest last', () => {
    const ring = new Explanations();
    const [decision] = decisions;
    assert.ok(decision);
    for (let wanted = 0; wanted < 1_000; wanted++) ring.addScaling('p', { ...decision, wanted }, wanted);
    assert.equal(ring.list().length, 64);
    assert.equal(ring.list().at(-1)?.atMs, 999);
    ring.forget('p');
    assert.equal(ring.list().length, 0);
  });
});
