/** `npm run build [-- FOLDER]`: compiles what ships into dist/, or that folder, and copies beside it what is read at run time. `npm pack` takes the result. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ships } from './check/imports.ts';
import { projectFiles, ROOT } from './files.ts';

const DIST = resolve(process.argv[2] ?? join(ROOT, 'dist'));
/** Folders whose other files (YAML, scripts, pages) are read through a path beside the code. */
const WITH_FILES =
  /^(crds|examples|platform|contract|security|state|worker|controller|compliance|cli|console|simulators)\//;

function compile(): void {
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const result = spawnSync(tsc, ['-p', 'tsconfig.build.json', '--outDir', DIST], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
  });
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
  if (DIST !== join(ROOT, 'dist') && existsSync(DIST)) throw new Error(`${DIST} exists already; name a new folder`);
  // What an earlier build left would be shipped as well.
  rmSync(DIST, { recursive: true, force: true });
  compile();
  const copied = copyFiles();
  chmodSync(join(DIST, 'cli/main.js'), 0o755);
  process.stderr.write(`build: ${DIST} is ready, with ${copied} other files\n`);
} catch (error) {
  process.stderr.write(`build: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
