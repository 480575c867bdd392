import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventGridAuth } from './event_grid.ts';
import { createInternalKeys } from './internal_keys.ts';
import { bearerOf, createSharedKeys } from './shared_keys.ts';

test('every key is accepted, nothing else is', () => {
  const keys = createSharedKeys(['key one of sixteen', 'key two of sixteen']);
  assert.equal(keys.current, 'key one of sixteen');
  assert.ok(keys.accepts('key one of sixteen'));
  assert.ok(keys.accepts('key two of sixteen'));
  for (const wrong of [
    undefined,
    '',
    'key one of sixtee',
    'key one of sixteen ',
    'KEY ONE OF SIXTEEN',
    'key one of sixteen,key two of sixteen',
  ]) {
    assert.equal(keys.accepts(wrong), false, String(wrong));
  }
  assert.throws(() => createSharedKeys([]), RangeError);
});

test('an absent key is not the empty key', () => {
  assert.equal(createSharedKeys(['']).accepts(undefined), false);
});

test('the bearer scheme is read in any case, others are not', () => {
  assert.equal(bearerOf('Bearer abc'), 'abc');
  assert.equal(bearerOf('bearer  abc '), 'abc');
  for (const other of [undefined, '', 'abc', 'Basic abc', 'Bearer', 'Bearerabc'])
    assert.equal(bearerOf(other), undefined);
});

test('internal keys send the first and accept all', () => {
  const keys = createInternalKeys(['first key', 'second key']);
  assert.equal(keys.authorization, 'Bearer first key');
  assert.ok(keys.accepts('Bearer second key'));
  assert.equal(keys.accepts('second key'), false);
});

test('topics are compared without case, as Azure writes resource ids', () => {
  const auth = createEventGridAuth({ keys: ['k'], topic: '/subscriptions/A/resourceGroups/B' });
  assert.ok(auth.acceptsTopic('/SUBSCRIPTIONS/a/resourcegroups/b'));
  for (const other of [undefined, null, 7, {}, '', '/subscriptions/A', '/subscriptions/A/resourceGroups/B/']) {
    assert.equal(auth.acceptsTopic(other), false);
  }
});
