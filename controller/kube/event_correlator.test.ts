import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../platform/manual_clock.ts';
import { EventCorrelator, rememberIn } from './event_correlator.ts';

const happening = (note: string, subject = 'uid') => ({ subject, type: 'Normal' as const, reason: 'Why', note });

test('equal events are one, and more than ten that differ in words alone become one', () => {
  const correlator = new EventCorrelator(new ManualClock());
  const verdicts = Array.from({ length: 12 }, (_, i) => correlator.judge(happening(`note ${i}`)));
  assert.deepEqual(
    verdicts.map((verdict) => (verdict.act === 'write' ? verdict.note : '-')),
    [
      ...Array.from({ length: 10 }, (_, i) => `note ${i}`),
      '(combined from similar events): note 10',
      '(combined from similar events): note 11',
    ],
  );
  const keys = verdicts.map((verdict) => (verdict.act === 'write' ? verdict.key : ''));
  assert.deepEqual([new Set(keys).size, keys[10]], [11, keys[11]]);
});

test('after ten minutes without any the count starts anew', () => {
  const clock = new ManualClock();
  const correlator = new EventCorrelator(clock);
  for (let i = 0; i < 11; i++) correlator.judge(happening(`note ${i}`));
  clock.advance(600_001);
  assert.deepEqual(correlator.judge(happening('later')).act, 'write');
  assert.doesNotMatch(JSON.stringify(correlator.judge(happening('later'))), /combined/);
});

test('an object may have 25 at once and then one in five minutes, without harm to others', () => {
  const clock = new ManualClock();
  const correlator = new EventCorrelator(clock);
  const written = () => correlator.judge(happening('x')).act === 'write';
  for (let i = 0; i < 25; i++) assert.ok(written());
  assert.equal(written(), false);
  assert.equal(correlator.judge(happening('x', 'other')).act, 'write');
  clock.advance(299_999);
  assert.equal(written(), false);
  clock.advance(1);
  assert.ok(written());
  assert.equal(written(), false);
});

test('what is remembered is bounded, and the longest unused goes first', () => {
  const map = new Map<string, number>();
  for (const key of ['a', 'b', 'c', 'a', 'd']) rememberIn(map, key, 1, 3);
  assert.deepEqual([...map.keys()], ['c', 'a', 'd']);
});
