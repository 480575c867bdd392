import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutboxEntry } from '../ports.ts';
import { Unarchived } from './unarchived.ts';

/** 31 characters as JSON. */
const entry = (id: string): OutboxEntry => ({ id, kind: 'turn', body: { text: 'x'.repeat(20) } });
const ids = (entries: OutboxEntry[]) => entries.map(({ id }) => id);

test('entries leave when they are confirmed, in any order', () => {
  const held = new Unarchived({ pending: [entry('a')], quarantined: [] }, 1_000);
  held.add(entry('b'));
  assert.deepEqual([ids(held.all()), ids(held.unstored())], [['a', 'b'], ['b']]);
  held.stored(['b', 'unknown']);
  assert.deepEqual(held.unstored(), []);
  held.remove(['a', 'unknown']);
  assert.deepEqual([held.ids(), held.size], [['b'], 1]);
});

test('beyond the bound memory lets go of the oldest that Redis has, never of what it has not', () => {
  const held = new Unarchived({ pending: [entry('a'), entry('b'), entry('c')], quarantined: [] }, 100);
  for (const id of ['d', 'e', 'f']) held.add(entry(id));
  assert.deepEqual(ids(held.all()), ['d', 'e', 'f']);
  assert.equal(held.size, 6);
  held.add(entry('g'));
  assert.deepEqual(ids(held.all()), ['d', 'e', 'f', 'g']);
  held.remove(['a', 'd', 'e', 'f']);
  held.stored(['g']);
  held.add(entry('h'));
  assert.deepEqual(ids(held.all()), ['g', 'h']);
});

test('what is quarantined is not waited for, but is written again with the rest', () => {
  const held = new Unarchived({ pending: [entry('a'), entry('b')], quarantined: [] }, 1_000);
  held.quarantined(['a']);
  assert.deepEqual([held.ids(), held.size, ids(held.all())], [['b'], 1, ['a', 'b']]);
});

test('what stood in quarantine at a takeover is waited for by nobody, and written again to an emptied Redis', () => {
  const held = new Unarchived({ pending: [entry('b')], quarantined: [entry('a')] }, 1_000);
  assert.deepEqual(held.ids(), ['b']);
  assert.deepEqual(held.unstored(), []);
  assert.deepEqual(
    held.all().map(({ id }) => id),
    ['a', 'b'],
  );
});
