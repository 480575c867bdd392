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
  ['an alias of nothing', (text) => text.replace('key: "1"', 'key: *one'), /ERR_DIALOGUE_INVALID.*Unresolved alias/],
  [
    'a name that every object has',
    (text) => text.replace('account:\n    kind', 'constructor:\n    kind'),
    /slots\.constructor/,
  ],
  [
    'a slot that only looks declared',
    (text) => text.replace('slots: [account]', 'slots: [account, toString]'),
    /intents\.balance\.slots/,
  ],
  [
    'a place that nobody fills',
    (text) => text.replace('ask: On which day?', 'ask: "{people} on which day?"'),
    /slots\.day\.ask: \{people\}/,
  ],
  [
    'a case that never comes',
    (text) => text.replace('day: tomorrow', 'day: tomorow'),
    /intents\.table\.cases\[0\]\.when\.day: "tomorow"/,
  ],
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
