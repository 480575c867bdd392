import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonLines } from './watch_lines.ts';

async function read(chunks: Iterable<Uint8Array>, maxBytes = 10_000): Promise<unknown[]> {
  const stream = async function* () {
    yield* chunks;
  };
  const values: unknown[] = [];
  for await (const value of jsonLines(stream(), maxBytes)) values.push(value);
  return values;
}

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...places, bytes.length].map((end, index) => bytes.subarray(places[index - 1] ?? 0, end));
}

test('wherever the stream is cut into pieces, and wherever it ends, whole lines come whole and others not at all', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue({ stringUnit: 'binary' }), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      fc.nat(),
      async (values, at, end) => {
        const lines = values.map((value) => `${JSON.stringify(value)}\n`);
        const bytes = Buffer.from(lines.join(''));
        const kept = bytes.subarray(0, end % (bytes.length + 1));
        const whole = kept.filter((byte) => byte === 10).length;
        assert.deepEqual(
          await read(cut(kept, at)),
          lines.slice(0, whole).map((line) => JSON.parse(line)),
        );
      },
    ),
  );
});

test('empty lines are passed over', async () => {
  assert.deepEqual(await read([Buffer.from('\n 1\n\r\n2\n')]), [1, 2]);
});

test('a line that is no JSON, or too long, ends it', async () => {
  await assert.rejects(read([Buffer.from('1\n{"a":\n')]), SyntaxError);
  const long = [Buffer.from(`"${'é'.repeat(30)}`), Buffer.from('é'.repeat(30))];
  await assert.rejects(read(long, 100), RangeError);
  assert.deepEqual(await read([...long, Buffer.from('"\n')], 1_000), ['é'.repeat(60)]);
});

test('many short lines are not taken for a long one', async () => {
  assert.equal((await read([Buffer.from('1\n'.repeat(500)), Buffer.from('2\n'.repeat(500))], 100)).length, 1_000);
});
