import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isExactly, legacyTimeMs } from './timestamps.ts';

const MS = Date.UTC(2025, 8, 4, 12, 34, 56, 789);

test('the stamps that older systems wrote', () => {
  for (const stamp of [
    '2025-09-04T12:34:56.789Z',
    '2025-09-04T12:34:56.789123',
    '2025-09-04 12:34:56,789',
    '2025-09-04T14:34:56.789+02:00',
    '2025-09-04T14:34:56.789123+0200',
    1756989296.789,
    MS,
  ])
    assert.equal(legacyTimeMs(stamp), MS, String(stamp));
  assert.equal(legacyTimeMs('2025-09-04T12:34:56'), MS - 789);
});

test('anything else is no time', () => {
  for (const stamp of [
    undefined,
    null,
    '',
    'now',
    '2025-13-04T12:34:56',
    '2025-09-04',
    '04.09.2025',
    0,
    -5,
    Number.NaN,
    1e300,
    {},
    [],
  ])
    assert.equal(legacyTimeMs(stamp), undefined, String(stamp));
});

test('a time is whole milliseconds that a date can show, and says when the stamp said more', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
        fc.double(),
        fc.string(),
      ),
      (stamp) => {
        const ms = legacyTimeMs(stamp);
        if (ms === undefined) return;
        assert.ok(Number.isInteger(ms) && ms >= 0);
        assert.equal(isExactly(new Date(ms).toISOString(), ms), true);
      },
    ),
  );
  assert.equal(isExactly('2025-09-04T12:34:56.789123', MS), false);
  assert.equal(isExactly(MS, MS), true);
});
