import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RedisFigures } from '../../state/redis/figures.ts';
import { judgeTier, loadOf, NO_NEED, READINGS_TO_NEED, type TierLoad, type TierMemory } from './rule.ts';

const AT = { memoryPercent: 70, clientsPercent: 80, operationsPerSecondPerShard: 10_000, shards: 2 };
const calm: TierLoad = { memory: 10, clients: 10, operations: 10 };

const after = (loads: readonly Partial<TierLoad>[], from: TierMemory = NO_NEED) =>
  loads.reduce((memory: TierMemory, load) => judgeTier(memory, { ...calm, ...load }, AT), from);
const times = (count: number, load: Partial<TierLoad>) => Array.from({ length: count }, () => load);

describe('whether Redis is too small', () => {
  it('counts shares, and operations of one shard', () => {
    const info: RedisFigures = {
      usedMemoryBytes: 71,
      maxMemoryBytes: 100,
      clients: 9,
      maxClients: 10,
      operationsPerSecond: 21_000,
    };
    assert.deepEqual(loadOf(info, AT), { memory: 71, clients: 90, operations: 10_500 });
    const blind = { memory: undefined, clients: undefined, operations: 10_500 };
    assert.deepEqual(loadOf({ ...info, maxMemoryBytes: undefined, maxClients: 0 }, AT), blind);
    assert.deepEqual(loadOf({ ...info, usedMemoryBytes: 0, clients: 0 }, AT), blind, 'untold is not empty');
  });

  for (const [resource, over, at, relieved] of [
    ['memory', 70.1, 70, 64.9],
    ['clients', 80.1, 80, 74.9],
    ['operations', 10_001, 10_000, 8_999],
  ] as const) {
    it(`${resource}: asks after three readings over the threshold, and until it is well below`, () => {
      assert.deepEqual(after(times(READINGS_TO_NEED - 1, { [resource]: over })).needs, []);
      assert.deepEqual(after(times(10, { [resource]: at })).needs, [], 'at the threshold is not over it');
      const needed = after(times(READINGS_TO_NEED, { [resource]: over }));
      assert.deepEqual(needed.needs, [resource]);
      assert.deepEqual(after([{ [resource]: at }], needed).needs, [resource], 'hysteresis');
      assert.deepEqual(after([{ [resource]: relieved }], needed).needs, []);
    });
  }

  it('a reading below begins the count anew', () => {
    const loads = [...times(2, { memory: 90 }), { memory: 60 }, ...times(2, { memory: 90 })];
    assert.deepEqual(after(loads).needs, []);
  });

  it('what cannot be known neither begins nor ends a need', () => {
    assert.deepEqual(after(times(10, { memory: undefined })).needs, []);
    const needed = after(times(3, { memory: 90 }));
    assert.deepEqual(after(times(10, { memory: undefined }), needed).needs, ['memory']);
  });

  it('never flaps inside the band, and names exactly what is over', () => {
    const band = fc.double({ min: 65, max: 70, noNaN: true });
    fc.assert(
      fc.property(fc.array(band, { maxLength: 50 }), fc.boolean(), (memories, needed) => {
        let memory = needed ? after(times(3, { memory: 99 })) : NO_NEED;
        for (const value of memories) {
          memory = judgeTier(memory, { ...calm, memory: value }, AT);
          assert.deepEqual(memory.needs, needed ? ['memory'] : []);
        }
      }),
    );
  });
});
