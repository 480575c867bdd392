import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom, systemRandom } from './random.ts';

test('ids have the length asked for and only letters and digits', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 64 }), fc.integer(), (length, seed) => {
      for (const random of [systemRandom, seededRandom(seed)])
        assert.match(random.id(length), new RegExp(`^[a-z0-9]{${length}}$`));
    }),
  );
});

test('every letter is about equally likely', () => {
  const counts = new Map<string, number>();
  for (const letter of systemRandom.id(360_000)) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  assert.equal(counts.size, 36);
  // The mean is 10,000 with a deviation of about 100: six of them are beyond chance, and a biased byte is off by twelve.
  for (const [letter, count] of counts) assert.ok(Math.abs(count - 10_000) < 600, `${letter}: ${count}`);
});

test('a fraction lies in [0, 1)', () => {
  for (const random of [systemRandom, seededRandom(7)]) {
    for (let i = 0; i < 1_000; i++) {
      const value = random.fraction();
      assert.ok(value >= 0 && value < 1);
    }
  }
});

test('a seed gives the same sequence again, another seed another one', () => {
  const ids = (seed: number): string[] => {
    const random = seededRandom(seed);
    return [random.id(12), random.id(12)];
  };
  assert.deepEqual(ids(1), ids(1));
  assert.notDeepEqual(ids(1), ids(2));
  assert.notEqual(ids(1)[0], ids(1)[1]);
});
