import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { blockingProbability, slotsForBlocking } from './erlang.ts';

describe('Erlang B', () => {
  it('agrees with published tables', () => {
    // Standard table, 1 % blocking: 10 trunks carry 4.461 E, 50 carry 37.901 E, 100 carry 84.064 E.
    for (const [slots, offered] of [
      [10, 4.461],
      [50, 37.901],
      [100, 84.064],
    ] as const) {
      assert.ok(Math.abs(blockingProbability(slots, offered) - 0.01) < 0.0002);
    }
  });

  it('finds the fewest slots that keep the target', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 2_000, noNaN: true }),
        fc.double({ min: 0.0001, max: 0.5, noNaN: true }),
        (offered, target) => {
          const slots = slotsForBlocking(offered, target);
          assert.ok(blockingProbability(slots, offered) <= target);
          assert.ok(slots === 0 || blockingProbability(slots - 1, offered) > target);
        },
      ),
      { numRuns: 50 },
    );
    assert.equal(slotsForBlocking(0, 0.01), 0);
  });
});
