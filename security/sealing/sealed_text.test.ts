import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asSealedText, type SealedText } from './sealed_text.ts';

/** What stands for whatever writes to a store. */
const store = (text: SealedText): number => text.length;

test('text that met no codec cannot be given to a store', () => {
  // @ts-expect-error plain text is no sealed text; the type check fails when this line is allowed.
  assert.equal(store('words in clear'), 14);
  // @ts-expect-error neither is what was joined from sealed text and something else.
  assert.equal(store(`${asSealedText('a')}b`), 2);
  assert.equal(store(asSealedText('sealed')), 6);
});
