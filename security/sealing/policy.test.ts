import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSealable, plainMembers, splitBody } from './policy.ts';

test('what ENCRYPTED_FIELDS names is sealed, and a member that nobody has named is too', () => {
  const cases = [
    ['session', { callRef: 'r', from: '4:+1', to: '4:+2', dialogue: {}, serverCallId: 's', newer: 1 }, ['callRef']],
    ['context', { anything: 1 }, []],
    ['turn', { seq: 1, text: 'x', callRef: 'r', participants: [] }, ['seq', 'callRef']],
    ['summary', { reason: 'callerHangUp', from: '4:+1', to: '4:+2' }, ['reason']],
    ['profile', { userId: 'u-1', patch: { language: 'en' }, language: 'en', callCount: 1 }, ['userId', 'callCount']],
  ] as const;
  for (const [kind, body, clear] of cases) {
    assert.deepEqual(Object.keys(JSON.parse(splitBody(kind, body).clear)), [...clear].sort(), kind);
    const sealed = Object.keys(body).filter((name) => !(clear as readonly string[]).includes(name));
    assert.deepEqual(Object.keys(splitBody(kind, body).secret), sealed, kind);
    assert.deepEqual(plainMembers(kind, body), sealed, kind);
  }
});

test('a member called sealed that holds words is no seal', () => {
  assert.deepEqual(plainMembers('turn', { seq: 1, sealed: 'my number is 555 0100, call me' }), ['sealed']);
  assert.deepEqual(plainMembers('turn', { seq: 1, sealed: { text: 'x' } }), ['sealed']);
  assert.deepEqual(plainMembers('turn', { seq: 1, sealed: 'A'.repeat(40) }), []);
});

test('records of no caller are never sealed', () => {
  assert.deepEqual(
    (['audit', 'metrics', 'turn', 'analytics'] as const).map((kind) => isSealable(kind)),
    [false, false, true, true],
  );
  assert.deepEqual(plainMembers('audit', { actor: 'x', anything: 1 }), []);
});
