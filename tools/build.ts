/** `npm run build`: compiles what ships into dist/ and copies beside it what is read at run time. `npm pack` takes the result. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ships } from './check/imports.ts';
import { projectFiles, ROOT } from './files.ts';

const DIST = join(ROOT, 'dist');
/** Folders whose other files (YAML, scripts, pages) are read through a path beside the code. */
const WITH_FILES =
  /^(crds|examples|platform|contract|security|state|worker|controller|compliance|cli|console|simulators)\//;

function compile(): void {
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const result = spawnSync(tsc, ['-p', 'tsconfig.build.json'], { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (result.status !== 0) throw new Error('tsc found errors, see above');
}

function copyFiles(): number {
  const files = projectFiles().filter((file) => WITH_FILES.test(file) && ships(file));
  const copied = files.filter((file) => !file.endsWith('.ts') || file.endsWith('.d.ts'));
  for (const file of copied) {
    mkdirSync(dirname(join(DIST, file)), { recursive: true });
    cpSync(join(ROOT, file), join(DIST, file));
  }
  return copied.length;
}

try {
  // What an earlier build left would be shipped as well.
  rmSync(DIST, { recursive: true, force: true });
  compile();
  const copied = copyFiles();
  chmodSync(join(DIST, 'cli/main.js'), 0o755);
  process.stderr.write(`build: dist/ is ready, with ${copied} other files\n`);
} catch (error) {
  process.stderr.write(`build: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
