import assert from 'node:assert/strict';
import { test } from 'node:test';
import { to24kHertz } from './resample.ts';

const sine = (hertz: number, rate: number, length: number) =>
  Int16Array.from({ length }, (_, n) => 10_000 * Math.sin((2 * Math.PI * hertz * n) / rate));

for (const hertz of [200, 1_000, 3_000, 5_000]) {
  test(`a tone of ${hertz} Hz stays that tone within 2 % of full level`, () => {
    const out = to24kHertz(sine(hertz, 16_000, 1_600));
    const expected = sine(hertz, 24_000, 2_400);
    assert.equal(out.length, expected.length);
    // The ends have no neighbours to interpolate from.
    for (let n = 40; n < out.length - 40; n++) {
      assert.ok(Math.abs((out[n] ?? 0) - (expected[n] ?? 0)) < 200, `sample ${n}: ${out[n]} for ${expected[n]}`);
    }
  });
}

test('a constant keeps its level, full scale does not wrap', () => {
  const out = to24kHertz(new Int16Array(400).fill(32_767));
  assert.ok(out.subarray(40, 560).every((sample) => sample > 32_700));
});
