import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_PATIENCE, judge, type Waiting } from './waiting.ts';

const quiet: Waiting = {
  ...{ waitedMs: 1_000, heard: false, spokenInto: false, silentMs: 1_000, lost: false },
  ...{ openMs: 5_000, spokenMs: 1_000, repeated: 0 },
};
const verdict = (changes: Partial<Waiting>) => judge({ ...quiet, ...changes }, DEFAULT_PATIENCE);

const CASES: readonly [string, Partial<Waiting>, ReturnType<typeof judge>][] = [
  ['nothing heard yet', {}, 'wait'],
  ['an answer is playing', { heard: true, silentMs: 0 }, 'wait'],
  ['an answer has paused', { heard: true, silentMs: 299 }, 'wait'],
  ['an answer is over', { heard: true, silentMs: 300 }, 'answered'],
  ['spoken into an answer that goes on', { spokenInto: true, silentMs: 0 }, 'wait'],
  ['spoken into an answer after which nothing came', { spokenInto: true, silentMs: 2_000 }, 'answered'],
  ['no answer in 30 s', { waitedMs: 30_000 }, 'timedOut'],
  ['no loss, no repetition however long it takes', { waitedMs: 29_999, silentMs: 29_999, spokenMs: 29_999 }, 'wait'],
  ['the socket is still away', { lost: true, openMs: undefined, silentMs: 9_000, spokenMs: 9_000 }, 'wait'],
  [
    'the socket is back, the worker may still answer',
    { lost: true, openMs: 2_999, silentMs: 9_000, spokenMs: 9_000 },
    'wait',
  ],
  ['the socket is back and nothing came', { lost: true, openMs: 3_000, silentMs: 9_000, spokenMs: 9_000 }, 'repeat'],
  ['the socket is back and an answer was heard', { lost: true, heard: true, silentMs: 100 }, 'wait'],
  ['repeated often enough', { lost: true, silentMs: 9_000, spokenMs: 9_000, repeated: 3 }, 'wait'],
];

for (const [name, changes, expected] of CASES) {
  test(`${name}: ${expected}`, () => assert.equal(verdict(changes), expected));
}
