import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, type Picture, paint } from './picture.ts';

const picture = (changes: Partial<Picture> = {}): Picture => ({
  pool: 'local/frontdesk',
  publicUrl: 'http://127.0.0.1:4000',
  upMs: 61_000,
  ready: 2,
  desired: 2,
  conditions: [],
  redis: { available: true, keys: 12 },
  workers: [{ id: 'frontdesk-abcde', state: 'serving', calls: 1, slots: 4, lagMs: 0.4 }],
  calls: [
    {
      id: 'c1',
      caller: 'opening hours',
      worker: 'frontdesk-abcde',
      state: 'active',
      ageMs: 4_000,
      stored: 'redis',
      lines: [
        { role: 'caller', text: 'what are your opening hours' },
        { role: 'assistant', text: 'We are open from nine to five.', responseMs: 412 },
      ],
    },
  ],
  totals: { calls: 3, understood: 3, archived: 2, medianResponseMs: 420 },
  ...changes,
});

const plain = { columns: 200, rows: 40, colour: false };

test('shows workers with their slots, and each call with its worker, words, response time and tier', () => {
  const text = paint(picture(), plain).join('\n');
  for (const part of [
    'frontdesk-abcde  [#...] 1/4 calls',
    'heard  what are your opening hours',
    '(412 ms)',
    'memory > Redis',
    'up 1 min 1 s',
  ]) {
    assert.ok(text.includes(part), `${part} is missing in\n${text}`);
  }
});

test('a terminal that is too small shows what fits and says how many calls are left out', () => {
  const call = picture().calls[0];
  assert.ok(call);
  const lines = paint(picture({ calls: [call, call, call] }), { ...plain, rows: 12 });
  assert.ok(lines.length < 12);
  assert.ok(lines.some((line) => line.includes('and 2 more')));
});

test('lines are cut to the width without counting or breaking colour codes', () => {
  for (const line of paint(picture(), { columns: 30, rows: 40, colour: true })) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with the escape character
    assert.ok(line.replace(/\x1b\[[0-9]*m/g, '').length <= 30);
  }
  assert.equal(cut('\x1b[1mabcdef\x1b[0m', 3), '\x1b[1mabc\x1b[0m');
});

test('Redis away is said', () => {
  assert.ok(
    paint(picture({ redis: { available: false, keys: 0 } }), plain)
      .join('\n')
      .includes('Redis away'),
  );
});
