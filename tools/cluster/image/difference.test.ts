import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { difference } from './difference.ts';

test('new and changed entries of every kind are found, equal ones are not', () => {
  const root = mkdtempSync(join(tmpdir(), 'difference-'));
  const [base, folder] = [join(root, 'base'), join(root, 'folder')];
  for (const one of [base, folder]) {
    mkdirSync(join(one, 'kept/deep'), { recursive: true });
    for (const name of ['same', 'size', 'content', 'mode', 'kept/deep/file']) writeFileSync(join(one, name), 'text');
    symlinkSync('same', join(one, 'link'));
  }
  assert.deepEqual(difference(folder, base), []);
  writeFileSync(join(folder, 'size'), 'longer text');
  writeFileSync(join(folder, 'content'), 'tixt');
  chmodSync(join(folder, 'mode'), 0o755);
  rmSync(join(folder, 'link'));
  symlinkSync('size', join(folder, 'link'));
  mkdirSync(join(folder, 'new'));
  writeFileSync(join(folder, 'new/file'), '');
  writeFileSync(join(folder, 'kept/deep/added'), '');
  rmSync(join(folder, 'same'));
  assert.deepEqual(difference(folder, base), ['content', 'kept/deep/added', 'link', 'mode', 'new', 'new/file', 'size']);
  rmSync(root, { recursive: true });
});
