import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../files.ts';
import { format } from './finding.ts';
import { parseBiome, parseTsc } from './programs.ts';
import { checkLength, checkLockfile, checkWords } from './texts.ts';

const lines = (count: number): string => 'x\n'.repeat(count);

test('300 lines pass, 301 warn, 401 are refused; generated files and prose are not counted', () => {
  const severities = (file: string, count: number): string[] =>
    checkLength(file, lines(count)).map(({ severity }) => severity);
  assert.deepEqual(severities('a.ts', 300), []);
  assert.deepEqual(severities('a.ts', 301), ['warning']);
  assert.deepEqual(severities('a.ts', 400), ['warning']);
  assert.deepEqual(severities('a.mjs', 401), ['error']);
  assert.deepEqual([...severities('a.gen.ts', 999), ...severities('a.md', 999)], []);
});

test('paths and hosts of one machine are found, with their line; others are not', () => {
  const found = (text: string): number[] => checkWords('a.md', text).map(({ line }) => line);
  for (const bad of [
    `see /${'work'}/main`,
    `"/${'root'}/x"`,
    `in /${'home'}/ann/x`,
    `https://${'registry'}.npmjs.org/x`,
  ]) {
    assert.deepEqual(found(`fine\n${bad}\n`), [2], bad);
  }
  for (const good of [
    '/w/local/frontdesk',
    './work/flow',
    'a/root/x',
    '/workers/x',
    '/tmp/x',
    'home/x',
    'https://example.org/work/x',
  ]) {
    assert.deepEqual(found(good), [], good);
  }
});

test('a lockfile entry that names a host is found, one inside the repository is not', () => {
  assert.equal(checkLockfile('{\n  "resolved": "https://host/a.tgz"\n}').length, 1);
  assert.equal(checkLockfile('{\n  "resolved": "file:vendor/uws"\n}').length, 0);
});

test('what biome and tsc say becomes findings', () => {
  const biome = `::error title=lint/style/useImportType,file=${join(ROOT, 'a.ts')},line=9,endLine=9,col=1,endColumn=4::Use it: now.
::warning title=format,file=b.ts,line=1,endLine=1,col=2,endColumn=2::Formatter would have printed
`;
  assert.deepEqual(parseBiome(biome).map(format), [
    'a.ts:9: Use it: now. (biome lint/style/useImportType)',
    'b.ts:1: warning: is not formatted; run npm run format (biome format)',
  ]);
  assert.deepEqual(parseTsc('a/b.ts(7,3): error TS2307: Cannot find it.\n  more\n').map(format), [
    'a/b.ts:7: Cannot find it. (tsc TS2307)',
  ]);
});
