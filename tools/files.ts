import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

const NEVER = new Set(['node_modules', 'dist', '.rtvoice', '.git']);

/** Files of the project that are tracked, or new and not ignored, relative to the root and sorted. */
export function projectFiles(root: string = ROOT): string[] {
  // Without this test a copy of the sources inside another repository would list that one's files.
  const names = existsSync(join(root, '.git')) ? listedByGit(root) : [...walk(root, root)];
  return [...new Set(names)].sort();
}

function listedByGit(root: string): string[] {
  const result = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  });
  if (result.status !== 0) throw new Error(`git ls-files failed: ${result.error?.message ?? result.stderr}`);
  // A file that is deleted and not yet committed is still listed.
  return result.stdout.split('\0').filter((name) => name !== '' && existsSync(join(root, name)));
}

function* walk(root: string, folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (NEVER.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(root, path);
    else yield relative(root, path);
  }
}
