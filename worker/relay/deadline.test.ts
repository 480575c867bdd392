import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../platform/clock.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { fairDeadline } from './deadline.ts';

test('expires after the whole time, and not when cancelled', () => {
  const clock = new ManualClock();
  let expired = 0;
  fairDeadline(clock, 500, () => expired++);
  const cancelled = fairDeadline(clock, 500, () => expired++);
  clock.advance(499);
  assert.equal(expired, 0);
  cancelled.cancel();
  clock.advance(1);
  assert.equal(expired, 1);
});

test('time in which this process stood still counts as one slice', () => {
  // A clock whose timers fire late, as after a blocked event loop: all that is due fires once per turn.
  const pending: (() => void)[] = [];
  const clock: Clock = {
    ...new ManualClock(),
    after(_delayMs, callback) {
      pending.push(callback);
      return { cancel: () => undefined };
    },
  } as Clock;
  let expired = 0;
  fairDeadline(clock, 500, () => expired++);
  for (let turn = 1; turn <= 5; turn++) {
    assert.equal(expired, 0);
    for (const callback of pending.splice(0)) callback();
  }
  assert.equal(expired, 1);
});
