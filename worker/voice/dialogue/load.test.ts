import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseDialogue } from './load.ts';

const example = readFileSync(fileURLToPath(new URL('../../../examples/dialogue.yaml', import.meta.url)), 'utf8');

const BROKEN: [name: string, change: (text: string) => string, says: RegExp][] = [
  ['not YAML', () => 'a: [', /ERR_DIALOGUE_INVALID/],
  ['an unknown field', (text) => `${text}\nfarewell: bye\n`, /farewell/],
  ['no greeting', (text) => text.replace(/^greeting:.*$/m, ''), /greeting/],
  ['a limit out of range', (text) => text.replace('limit: 3', 'limit: 99'), /fallback\.limit/],
  [
    'a slot that is not declared',
    (text) => text.replace('slots: [account]', 'slots: [acount]'),
    /intents\.balance\.slots/,
  ],
  ['digits turned round', (text) => text.replace('minLength: 4', 'minLength: 9'), /slots\.account\.minLength/],
  ['a slot of no known kind', (text) => text.replace('kind: number', 'kind: colour'), /slots\.people/],
  ['a key that is no key', (text) => text.replace('key: "1"', 'key: "one"'), /intents\.openingHours\.key/],
];

test('the example is valid', () => {
  assert.ok(Object.keys(parseDialogue(example).intents).length >= 5);
});

for (const [name, change, says] of BROKEN) {
  test(`refused with the place at fault: ${name}`, () => {
    const broken = change(example);
    assert.notEqual(broken, example, 'the change applies');
    assert.throws(
      () => parseDialogue(broken),
      (error: Error & { code?: string }) => says.test(`${error.code} ${error.message}`),
    );
  });
}
