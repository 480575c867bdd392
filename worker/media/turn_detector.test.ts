import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Activity } from './ports.ts';
import { mediaSettings } from './settings.ts';
import { TurnDetector } from './turn_detector.ts';

const settings = mediaSettings({ sampleRateHertz: 16_000 });
const run = (pattern: string, overrides = {}): Activity[] => {
  const detector = new TurnDetector({ ...settings, ...overrides });
  return [...pattern].map((letter) => detector.push(letter === 's'));
};
const at = (activities: Activity[], wanted: Activity): number[] =>
  activities.flatMap((activity, i) => (activity === wanted ? [i] : []));

test('starts with the third speech frame of five, wherever the gaps are', () => {
  for (const [pattern, start] of [
    ['..sss', 4],
    ['..s.ss', 5],
    ['..s.s.s', 6],
    ['..ss..s', 6],
  ] as const) {
    const detector = new TurnDetector(settings);
    const activities = [...pattern].map((letter) => detector.push(letter === 's'));
    assert.deepEqual(at(activities, 'start'), [start], pattern);
    assert.equal(detector.sinceFirstSpeech, start - 2, pattern);
  }
});

test('a click or a cough of two frames starts nothing', () => {
  assert.deepEqual(at(run('..ss......ss.....s.....s'), 'start'), []);
});

test('ends after the hang-over, which every speech frame begins anew', () => {
  const speech = `${'s'.repeat(20)}${'.'.repeat(24)}s${'.'.repeat(40)}`;
  const activities = run(speech);
  assert.deepEqual(at(activities, 'start'), [2]);
  assert.deepEqual(at(activities, 'end'), [20 + 24 + 1 + 25 - 1]);
  assert.deepEqual(new Set(activities.slice(3, 69)), new Set(['speech']));
});

test('does not end before the least length, nor go on beyond the greatest', () => {
  const short = run(`sss${'.'.repeat(100)}`, { hangOverMs: 100, minUtteranceMs: 1_000 });
  assert.deepEqual(at(short, 'end'), [49]);
  const long = run('s'.repeat(400), { maxUtteranceMs: 2_000 });
  assert.deepEqual(at(long, 'end').slice(0, 2), [99, 199]);
  assert.deepEqual(at(long, 'start').slice(0, 2), [2, 102], 'who goes on speaking starts a new utterance');
});

test('whatever the speech: start and end alternate, bounds hold, a barge-in is at most 100 ms late', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 60 })), { maxLength: 40 }), (stretches) => {
      const speech = stretches.flatMap(([voiced, count]) => Array<boolean>(count).fill(voiced));
      const detector = new TurnDetector({ ...settings, maxUtteranceMs: 3_000 });
      let startedAt: number | undefined;
      let run = 0;
      speech.forEach((voiced, i) => {
        const activity = detector.push(voiced);
        run = voiced ? run + 1 : 0;
        if (startedAt === undefined) {
          assert.ok(activity === 'silence' || activity === 'start', activity);
          assert.ok(run < 3 || activity === 'start', 'three frames in a row must start');
          if (activity === 'start') {
            assert.ok(detector.sinceFirstSpeech <= 4);
            startedAt = i - detector.sinceFirstSpeech;
          }
          return;
        }
        const length = i - startedAt + 1;
        assert.ok(activity === 'speech' || activity === 'end', activity);
        if (activity === 'end') {
          assert.ok(length === 150 || speech.slice(i - 24, i + 1).every((value) => !value), 'ended without a reason');
          startedAt = undefined;
          run = 0;
        } else
          assert.ok(
            length < 150 && speech.slice(Math.max(0, i - 24), i + 1).some((value) => value),
            'should have ended',
          );
      });
    }),
    { numRuns: 300 },
  );
});

test('settings out of range are named', () => {
  assert.throws(
    () => mediaSettings({ sampleRateHertz: 16_000, hangOverMs: 0 }),
    /hangOverMs must be a whole number from 40/,
  );
  assert.throws(() => mediaSettings({ sampleRateHertz: 8_000 as 16_000 }), /sampleRateHertz/);
  assert.throws(() => mediaSettings({ sampleRateHertz: 16_000, startSpeechMs: 200 }), /startWindowMs/);
  assert.throws(() => mediaSettings({ sampleRateHertz: 16_000, framesPerWrite: 10 }), /framesPerWrite/);
});
