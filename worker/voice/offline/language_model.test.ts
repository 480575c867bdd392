import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arpaModel } from './language_model.ts';

/** Log probabilities of one order, by n-gram. */
function section(text: string, order: number): Map<string, number> {
  const body = text.split(`\\${order}-grams:\n`)[1]?.split('\n\n')[0] ?? '';
  return new Map(
    body.split('\n').map((line) => {
      const fields = line.split(' ');
      return [fields.slice(1, order + 1).join(' '), Number(fields[0])];
    }),
  );
}

test('the probabilities of all words after nothing sum to one, and counts stand in the header', () => {
  const text = arpaModel(['a b c', 'a b d', 'b a']);
  const unigrams = section(text, 1);
  const sum = [...unigrams].reduce((total, [word, log]) => (word === '<s>' ? total : total + 10 ** log), 0);
  assert.ok(Math.abs(sum - 1) < 0.01, `sum ${sum}`);
  assert.match(text, new RegExp(`ngram 1=${unigrams.size}\n`));
  assert.match(text, /\\end\\\n$/);
});

test('a pair that was seen is likelier than one that was not, which stays possible', () => {
  const bigrams = section(arpaModel(['open the door', 'open the window', 'close the door']), 2);
  const seen = bigrams.get('open the') ?? Number.NaN;
  assert.ok(seen > Math.log10(0.5));
  assert.equal(bigrams.get('open door'), undefined);
});
