import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { poolCases, RULE_CASES, TRANSITION_CASES } from '../test/support/pool_documents.ts';
import { POOL_RULES, parsePool, poolSchema, transitionFaults } from './pool.ts';
import { celRules } from './pool_cel.ts';
import { checkPool } from './pool_check.ts';
import { fieldName } from './pool_faults.ts';
import { IMMUTABLE_FIELDS } from './pool_rules.ts';
import { schemaAt } from './pool_schema.ts';

test('every rule of the definition has one local twin, one good and one bad document, and none is without a rule', () => {
  const fields = (transition: boolean) =>
    celRules()
      .filter((rule) => rule.transition === transition)
      .map(({ field }) => field)
      .sort();
  assert.deepEqual(POOL_RULES.map(({ field }) => field).sort(), fields(false));
  assert.deepEqual(Object.keys(IMMUTABLE_FIELDS).sort(), fields(true));
  assert.deepEqual([...new Set(RULE_CASES.map(([field]) => field))].sort(), fields(false));
  assert.deepEqual([...new Set(TRANSITION_CASES.map(([field]) => field))].sort(), fields(true));
});

test('every rule names a field that the schema has, gives a reason, and says what to do', () => {
  for (const { field, text, reason } of celRules()) {
    assert.ok(schemaAt(poolSchema(), field.split('.')), field);
    assert.ok(reason, field);
    assert.match(text, /[;,] .*(give|lower|make|name|raise|take|write|leave)/, field);
  }
});

test('every case of the shared documents is taken or refused as it says, at the field that it says', () => {
  for (const { name, document, refused } of poolCases()) {
    const faults = checkPool(structuredClone(document)).map(({ path, text }) => `${fieldName(path)} ${text}`);
    if (refused === undefined) assert.deepEqual(faults, [], name);
    else
      assert.ok(
        faults.some((fault) => fault.startsWith(`${refused} `)),
        `${name}: ${faults.join('; ')}`,
      );
  }
});

test('a rule is broken alone, in the words of the definition', () => {
  for (const [field, , bad] of RULE_CASES) {
    const text = celRules().find((rule) => rule.field === field)?.text;
    assert.deepEqual(checkPool(structuredClone(bad)), [{ path: field.split('.'), text }]);
  }
});

test('an immutable field is named when another document would change it', () => {
  for (const [field, before, after] of TRANSITION_CASES) {
    const [older, newer] = [before, after].map((document) => parsePool(stringify(document)).spec);
    assert.ok(older && newer);
    const [fault, ...more] = transitionFaults(older, newer);
    assert.equal(fault && `${fieldName(fault.path)} ${fault.text}`.startsWith(`${field} is immutable`), true, field);
    assert.deepEqual(more, []);
    assert.deepEqual(transitionFaults(older, older), []);
  }
});
