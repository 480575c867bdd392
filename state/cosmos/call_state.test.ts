import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callState, describeState } from './call_state.ts';

test('a call is as complete as its end record says', () => {
  assert.deepEqual(callState({ turns: 3, ended: true, counted: 3 }), { kind: 'complete' });
  assert.deepEqual(callState({ turns: 1, ended: true, counted: 3 }), { kind: 'incomplete', missingTurns: 2 });
  // An end record that cannot be opened counts nothing.
  assert.deepEqual(callState({ turns: 1, ended: true, counted: undefined }), { kind: 'complete' });
  assert.deepEqual(callState({ turns: 1, ended: false, counted: undefined }), { kind: 'open' });
  assert.deepEqual(callState({ turns: 0, ended: false, counted: undefined }), { kind: 'unknown' });
  assert.match(describeState({ kind: 'incomplete', missingTurns: 2 }), /2 turns/);
});
