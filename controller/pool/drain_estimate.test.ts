import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type CallLengths, expectedDrainSeconds, residualSeconds } from './drain_estimate.ts';

/** 100 calls, half of them below a minute, the rest below ten. */
const LENGTHS: CallLengths = { seconds: [60, 600], counts: [50, 100], total: 100 };

describe('expected end of a drain', () => {
  it('is longer for a call that has outlived the short ones', () => {
    assert.equal(residualSeconds(LENGTHS, 0), (50 * 30 + 50 * 330) / 100);
    assert.ok(residualSeconds(LENGTHS, 60) > residualSeconds(LENGTHS, 0), 'the short calls are over');
    assert.ok(residualSeconds(LENGTHS, 500) < residualSeconds(LENGTHS, 60));
  });

  it('never takes an old call for one that is about to end', () => {
    assert.equal(residualSeconds(LENGTHS, 3_600), 3_600);
    assert.equal(residualSeconds({ seconds: [60], counts: [0], total: 50 }, 100), 100);
  });

  it('assumes a length while there is no history', () => {
    assert.equal(residualSeconds(undefined, 10), 180);
    assert.equal(residualSeconds({ seconds: [60], counts: [3], total: 3 }, 10), 180);
  });

  it('grows with the number of calls, slower than it', () => {
    assert.equal(expectedDrainSeconds(0, 100), 0);
    assert.equal(expectedDrainSeconds(1, 100), 100);
    assert.equal(expectedDrainSeconds(2, 100), 150);
    assert.ok(expectedDrainSeconds(50, 100) < 500);
  });

  it('is finite and not negative for every history', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 1_000 }), { minLength: 3, maxLength: 3 }),
        fc.nat({ max: 1_000 }),
        fc.nat({ max: 10_000 }),
        (buckets, beyond, age) => {
          let below = 0;
          const counts = buckets.map((count) => (below += count));
          const value = residualSeconds({ seconds: [10, 100, 1_000], counts, total: below + beyond }, age);
          assert.ok(Number.isFinite(value) && value >= 0, `${value}`);
        },
      ),
    );
  });
});
