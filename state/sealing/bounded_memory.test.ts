import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../platform/manual_clock.ts';
import { BoundedMemory } from './bounded_memory.ts';

test('what was not used for longest goes first', () => {
  const memory = new BoundedMemory<number>({ clock: new ManualClock(), limit: 2 });
  memory.set('a', 1);
  memory.set('b', 2);
  assert.equal(memory.get('a'), 1);
  memory.set('c', 3);
  assert.deepEqual([memory.get('a'), memory.get('b'), memory.get('c')], [1, undefined, 3]);
  assert.equal(memory.size, 2);
});

test('an entry ends with its time, however often it was used', () => {
  const clock = new ManualClock();
  const memory = new BoundedMemory<number>({ clock, limit: 2, ttlMs: 100 });
  memory.set('a', 1);
  clock.advance(99);
  assert.equal(memory.get('a'), 1);
  clock.advance(1);
  assert.equal(memory.get('a'), undefined);
  assert.equal(memory.size, 0);
});
