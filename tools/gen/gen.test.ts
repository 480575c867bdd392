import assert from 'node:assert/strict';
import { test } from 'node:test';
import { row } from './markdown.ts';
import { poolTypes } from './pool_types.ts';
import { misplacedSettings, settingsTable } from './settings_table.ts';

test('fields with a default are required in the types, others are not', async () => {
  const types = await poolTypes();
  assert.match(types, /\n {2}minWorkers: number;/);
  assert.match(types, /\n {4}redirectTo\?: string;/);
  assert.match(types, /sampleRateHertz: 16000 \| 24000;/);
  assert.match(types, /apiVersion: 'rtvoice\.dev\/v1alpha1';/);
});

test('the table of settings shows what must be set, what is secret and what may be written', async () => {
  const table = await settingsTable(['worker/settings.ts', 'worker/main.ts']);
  assert.match(table, /\| `RTVOICE_POOL` \| Name of the pool\. \| text \| \*\*must be set\*\* \|/);
  assert.match(table, /\| `RTVOICE_PUBLIC_PORT` \|.*\| whole number, 0 to 65535 \| `8080` \|/);
  assert.match(table, /\| `RTVOICE_REDIS_URL` \|.*; secret \|/);
});

test('settings outside a settings file are found, since they would miss the table', () => {
  const source = `export const FRONT_SETTINGS = { a: setting({ env: 'RTVOICE_A' }) }`;
  assert.deepEqual(misplacedSettings({ 'a/front_main.ts': source, 'a/settings.ts': source, 'a/b.ts': 'x' }), [
    'a/front_main.ts',
  ]);
});

test('a bar or a line break inside a cell does not break the table', () => {
  assert.equal(row(['a|b', 'c\nd']), '| a\\|b | c d |\n');
});
