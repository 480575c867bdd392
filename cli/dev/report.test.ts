import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CallReport, isOk, joinTurns, understood } from './report.ts';

const call = (changes: Partial<CallReport> = {}): CallReport => ({
  callConnectionId: 'c',
  worker: 'frontdesk-abcde',
  turns: [{ spoken: 'hello there', heard: 'Hello, there.', answered: 'Good day.', responseMs: 300 }],
  disconnected: 'caller',
  archived: true,
  ...changes,
});

test('turns are joined in the order of the transcript, greeting left out, several answers joined', () => {
  const turns = joinTurns(
    [
      { text: 'first', responseMs: 1 },
      { text: 'second', responseMs: 2 },
      { text: 'never heard', responseMs: undefined },
    ],
    [
      { seq: 4, role: 'caller', text: 'second' },
      { seq: 1, role: 'assistant', text: 'Welcome.' },
      { seq: 2, role: 'caller', text: 'first' },
      { seq: 3, role: 'assistant', text: 'One.' },
      { seq: 5, role: 'assistant', text: 'Two.' },
      { seq: 6, role: 'assistant', text: 'Two and a half.' },
    ],
  );
  assert.deepEqual(turns, [
    { spoken: 'first', heard: 'first', answered: 'One.', responseMs: 1 },
    { spoken: 'second', heard: 'second', answered: 'Two. Two and a half.', responseMs: 2 },
    { spoken: 'never heard', heard: '', answered: '', responseMs: undefined },
  ]);
});

test('ok only when every call was answered, understood and archived, and every key has a TTL', () => {
  const good = {
    calls: [call()],
    workers: [],
    redis: { keysWithoutTtl: 0, keyFaults: 0 },
    sealing: { records: 9, inClear: 0 },
    startedMs: 1,
  };
  assert.equal(isOk(good, 1), true);
  assert.equal(isOk(good, 2), false);
  assert.equal(isOk({ ...good, calls: [call({ archived: false })] }, 1), false);
  assert.equal(isOk({ ...good, calls: [call({ turns: [] })] }, 1), false);
  assert.equal(isOk({ ...good, redis: { keysWithoutTtl: 0, keyFaults: 1 } }, 1), false);
  assert.equal(isOk({ ...good, sealing: { records: 9, inClear: 1 } }, 1), false);
  assert.equal(
    understood(call({ turns: [{ spoken: 'hello', heard: 'yellow', answered: 'x', responseMs: 1 }] })),
    false,
  );
});
