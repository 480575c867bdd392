import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkImports, importsOf, ships } from './imports.ts';

const PACKAGES = {
  dependencies: ['ioredis', 'uWebSockets.js', '@azure/cosmos', 'pino'],
  devDependencies: ['fast-check'],
};
const faults = (file: string, line: string): string[] => checkImports(file, line, PACKAGES).map(({ text }) => text);

test('every form of an import is seen, with its line', () => {
  const text = `import a from 'one';
import type { B } from 'two';
import {
  c,
} from 'three';
export { d } from 'four';
export * from 'five';
import 'six';
const e = await import('seven');
export type { F } from 'eight';
`;
  assert.deepEqual(
    importsOf(text)
      .sort((a, b) => a.line - b.line)
      .map(({ specifier, line, typeOnly }) => [specifier, line, typeOnly]),
    [
      ['one', 1, false],
      ['two', 2, true],
      ['three', 3, false],
      ['four', 6, false],
      ['five', 7, false],
      ['six', 8, false],
      ['seven', 9, false],
      ['eight', 10, true],
    ],
  );
});

const CASES: readonly [file: string, line: string, refused: RegExp | undefined][] = [
  ['state/a.ts', `import { x } from '../contract/b.ts';`, undefined],
  ['contract/a.ts', `import { x } from '../state/b.ts';`, /contract must not import state/],
  ['platform/a.ts', `import type { x } from '../contract/b.ts';`, /platform must not import contract/],
  ['worker/a.ts', `import { x } from '../controller/b.ts';`, /worker must not import controller/],
  ['controller/pool/a.ts', `import { x } from '../../worker/b.ts';`, /controller must not import worker/],
  ['worker/calls/a.ts', `import { x } from '../media/b.ts';`, undefined],
  ['cli/a.ts', `import { x } from '../state/b.ts';`, undefined],
  ['state/a.ts', `import { x } from '../cli/b.ts';`, /state must not import cli/],
  ['worker/server.ts', `import uWS from 'uWebSockets.js';`, undefined],
  ['worker/media/a.ts', `import uWS from 'uWebSockets.js';`, undefined],
  ['worker/routes/a.ts', `import type { HttpResponse } from 'uWebSockets.js';`, /only worker\/server\.ts/],
  ['state/redis/client.ts', `import { Redis } from 'ioredis';`, undefined],
  ['state/calls/a.ts', `import { Redis } from 'ioredis';`, /only state\/redis/],
  ['state/calls/a.ts', `import type { Redis } from 'ioredis';`, undefined],
  ['cli/dev/a.ts', `import { x } from '../../simulators/b.ts';`, undefined],
  ['cli/a.ts', `import { x } from '../simulators/b.ts';`, /simulator exists/],
  ['worker/a.ts', `const x = await import('../simulators/b.ts');`, /simulator exists/],
  ['worker/a.ts', `import { x } from '../test/support/b.ts';`, /what ships/],
  ['worker/a.test.ts', `import { x } from '../test/support/b.ts';`, undefined],
  ['worker/a.ts', `import fc from 'fast-check';`, /development dependency/],
  ['worker/a.ts', `import { x } from 'left-pad';`, /not in package\.json/],
  ['worker/a.ts', `import { x } from '@azure/cosmos/deep';`, undefined],
  ['worker/a.ts', `import { x } from 'node:fs';`, undefined],
];
for (const [file, line, refused] of CASES) {
  test(`${refused ? 'refused' : 'allowed'}: ${file} ${line}`, () => {
    const found = faults(file, line);
    if (refused === undefined) assert.deepEqual(found, []);
    else
      assert.ok(
        found.some((fault) => refused.test(fault)),
        found.join() || 'nothing was found',
      );
  });
}

test('tests, tools and measurements do not ship', () => {
  for (const file of ['test/a.ts', 'tools/a.ts', 'bench/a.ts', 'worker/a.test.ts', 'worker/media/testing.ts'])
    assert.equal(ships(file), false);
  for (const file of ['worker/a.ts', 'index.ts', 'simulators/main.ts', 'crds/a.yaml']) assert.equal(ships(file), true);
});
