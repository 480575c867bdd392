import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../platform/random.ts';
import { Backoff } from './backoff.ts';

test('waits double to a ceiling, with jitter, respect what was asked for, and start anew after success', () => {
  const backoff = new Backoff(seededRandom(1));
  const waits = Array.from({ length: 12 }, () => backoff.next());
  waits.forEach((wait, index) => {
    const ceiling = Math.min(15_000, 200 * 2 ** index);
    assert.ok(wait >= ceiling / 2 && wait <= ceiling, `${index}: ${wait}`);
  });
  assert.notEqual(waits[10], waits[11]);
  assert.equal(backoff.next(60_000), 60_000);
  backoff.reset();
  assert.ok(backoff.next() <= 200);
});
