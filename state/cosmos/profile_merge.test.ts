import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeProfile } from './profile_merge.ts';

const header = { v: 1, alg: 'none' };
const update = (id: string, patch: Record<string, unknown>, callConnectionId = 'c1', atMs = 5) => ({
  id,
  kind: 'profile' as const,
  callConnectionId,
  header,
  body: { userId: 'u', patch, callConnectionId, atMs },
});

test('fields are laid over what is there, also over what this release does not know', () => {
  const stored = mergeProfile(undefined, 'u', update('1', { language: 'en', plan: 'gold' }));
  const merged = mergeProfile(
    { ...stored, newer: { deep: 1 } } as never,
    'u',
    update('2', { language: 'de' }, 'c2', 3),
  );
  assert.deepEqual(merged, {
    id: 'u',
    userId: 'u',
    language: 'de',
    plan: 'gold',
    newer: { deep: 1 },
    callCount: 2,
    lastCall: 'c2',
    lastCallAtMs: 5,
    applied: ['1', '2'],
  });
});

test('an update counts once, a call counts once, and the list of updates is bounded', () => {
  let stored = mergeProfile(undefined, 'u', update('0', {}));
  for (let n = 1; n <= 40; n++) stored = mergeProfile(stored, 'u', update(String(n), {}));
  assert.equal(stored?.callCount, 1);
  assert.equal(stored?.applied.length, 32);
  assert.equal(mergeProfile(stored, 'u', update('40', { late: true })), undefined);
});

test('an update cannot touch what the merge keeps', () => {
  const merged = mergeProfile(
    undefined,
    'u',
    update('1', { id: 'x', userId: 'x', callCount: 99, applied: [], _etag: 'x', ttl: 1, sealed: 'x' }),
  );
  assert.deepEqual(
    [merged?.id, merged?.userId, merged?.callCount, merged?.applied, merged?._etag, merged?.ttl, merged?.sealed],
    ['u', 'u', 1, ['1'], undefined, undefined, undefined],
  );
});
