import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeJson, encodeJson, type JsonValue } from './json_value.ts';

test('what is accepted comes back equal', () => {
  fc.assert(
    fc.property(fc.jsonValue({ depthSize: 'medium' }), (value) => {
      fc.pre(!JSON.stringify(value).includes('-0'));
      let text: string;
      try {
        text = encodeJson('v', value as JsonValue, 1_000_000);
      } catch (error) {
        // Only what JSON itself would change: a negative zero, which prints as 0.
        assert.equal((error as { code: string }).code, 'ERR_VALUE_INVALID');
        return;
      }
      assert.deepEqual(decodeJson('v', text), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('what JSON would change in silence is refused by its path', () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const cases: [unknown, RegExp][] = [
    [{ a: [1, Number.NaN] }, /v\.a\[1\] is NaN/],
    [{ a: { b: new Date(0) } }, /v\.a\.b is no plain object/],
    [{ when: 1n }, /v\.when is of type bigint/],
    [[undefined], /v\[0\] is of type undefined/],
    [undefined, /v is of type undefined/],
    [() => 1, /v is of type function/],
    [cycle, /nested deeper/],
    [new Map(), /no plain object/],
  ];
  for (const [value, message] of cases) {
    assert.throws(() => encodeJson('v', value as JsonValue, 1_000), { code: 'ERR_VALUE_INVALID', message });
  }
});

test('the bound counts bytes, not characters', () => {
  assert.equal(encodeJson('v', 'é'.repeat(9), 20).length, 11);
  assert.throws(() => encodeJson('v', 'é'.repeat(10), 20), { code: 'ERR_VALUE_TOO_LARGE', message: /22 of 20 bytes/ });
});

test('text that is not JSON is named by its key, never quoted', () => {
  assert.throws(
    () => decodeJson('rtvoice:test:call:a:summary', 'secret words'),
    (error: Error) => {
      assert.match(error.message, /rtvoice:test:call:a:summary is not JSON/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    },
  );
});
