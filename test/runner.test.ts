import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { identify } from '../platform/processes.ts';
import { ROOT } from '../tools/files.ts';

/** The runner in a folder of its own, with test files that each do one thing wrong. */
let folder: string;

const FILES: Record<string, string> = {
  'good/good.test.ts': `test('fine', () => undefined);`,
  'bad/bad.test.ts': `test('wrong', () => { throw new Error('on purpose'); });`,
  'crash/crash.test.ts': `process.exit(3);`,
  'skips/skips.test.ts': `test('not here', { skip: 'needs a sound card' }, () => undefined);`,
  'test/api/server.test.ts': `test('needs an API server', () => undefined);`,
  'test/e2e/nodes.test.ts': `test('needs a cluster', () => undefined);`,
  'test/kind/docker.test.ts': `test('needs Docker', () => undefined);`,
  'test/wire/scripted.test.ts': `test('speaks', () => undefined);`,
  'test/leaves.test.ts': `
    import { spawn } from 'node:child_process';
    import { once } from 'node:events';
    const server = "require('node:net').createServer().listen(0, '127.0.0.1', () => process.send('up'))";
    test('forgets a server', async () => {
      const child = spawn(process.execPath, ['-e', server], { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
      await once(child, 'message');
      child.disconnect();
      child.unref();
      require('node:fs').writeFileSync(process.env.PID_FILE, String(child.pid));
    });`,
};

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'runner-'));
  for (const part of ['tools/test.ts', 'tools/files.ts', 'tools/runner', 'tools/cluster', 'tools/setup', 'platform']) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true, filter: (source) => !source.endsWith('.test.ts') });
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  for (const [name, body] of Object.entries(FILES)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    const head = `import { test } from 'node:test';\nimport { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);\n`;
    writeFileSync(join(folder, name), head + body);
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function runner(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; output: string }> {
  // Inside a test of a test: without the outer marks the inner runner would report to the outer one, or be as strict.
  const { NODE_TEST_CONTEXT: _context, CI: _strict, ...inherited } = process.env;
  const child = spawn(process.execPath, [join(folder, 'tools/test.ts'), ...args], { env: { ...inherited, ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk) => (output += chunk));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output };
}

test('a good file ends with the closing lines and 0', async () => {
  const { code, output } = await runner(['good']);
  assert.equal(code, 0, output);
  assert.match(
    output,
    /# tests 1\n# suites 0\n# pass 1\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n# duration_ms \d+\n$/,
  );
});

test('a failing test fails the run and is shown', async () => {
  const { code, output } = await runner(['good', 'bad']);
  assert.equal(code, 1);
  assert.match(output, /on purpose/);
  assert.match(output, /# pass 1\n# fail 1\n/);
});

test('a file that ends by itself fails the run', async () => {
  const { code, output } = await runner(['crash']);
  assert.equal(code, 1, output);
});

test('a skipped test is named with its reason', async () => {
  const { code, output } = await runner(['skips']);
  assert.equal(code, 0);
  assert.match(output, /skipped:\n.*skips\.test\.ts "not here": needs a sound card/);
  assert.match(output, /# skipped 1\n/);
});

test('a process that a test leaves behind fails the run, is named with its port, and is ended', async () => {
  const pidFile = join(folder, 'pid');
  const { code, output } = await runner(['leaves'], { PID_FILE: pidFile });
  assert.equal(code, 1, output);
  assert.match(output, /# fail 0/);
  const pid = Number(/left running by a test: process (\d+) .*, listening on \d+; it is ended now/.exec(output)?.[1]);
  assert.equal(identify(pid), undefined);
});

test('a tier takes only its own files', async () => {
  const { output } = await runner(['--tier', 'unit', 'good', 'leaves']);
  assert.match(output, /# tests 1\n/);
});

/** Neither Go nor programs that were built before. */
const bare = (): Record<string, string> => ({ PATH: '/nonexistent', RTVOICE_CACHE_DIR: join(folder, 'cache') });

test('each folder under test/ belongs to its tier, and what needs Docker to none', async () => {
  const { output } = await runner(['--tier', 'wire']);
  assert.match(output, /✔ speaks/);
  assert.match(output, /# tests 1\n/);
  const { code } = await runner(['docker']);
  assert.equal(code, 2);
});

test('files whose tier lacks something are skipped one by one with the reason in one line, and the others run', async () => {
  const { code, output } = await runner(['good', 'test/api', 'test/e2e'], bare());
  assert.equal(code, 0, output);
  assert.match(output, /^skipping the tier api \(1 files\): Go 1\.26 or newer is needed to build .*$/m);
  assert.match(output, /skipped:\n {2}test\/api\/server\.test\.ts: Go .*\n {2}test\/e2e\/nodes\.test\.ts: .+\n/);
  assert.match(output, /# tests 3\n# suites 0\n# pass 1\n# fail 0\n# cancelled 0\n# skipped 2\n/);
});

test('with CI=true a tier that lacks something fails the run', async () => {
  const { code, output } = await runner(['good', 'test/api'], { ...bare(), CI: 'true' });
  assert.equal(code, 1);
  assert.match(output, /failed: with CI=true no tier may be skipped/);
});

/** A Go that is new enough and builds nothing. */
function failingGo(says: string): Record<string, string> {
  const programs = mkdtempSync(join(folder, 'go-'));
  const script = `#!/bin/sh\ncase "$*" in "env GOVERSION") echo go1.99.1;; *) echo '${says}' >&2; exit 1;; esac\n`;
  writeFileSync(join(programs, 'go'), script, { mode: 0o755 });
  return { PATH: `${programs}:/usr/bin:/bin`, RTVOICE_CACHE_DIR: join(programs, 'cache') };
}

test('without a network to build from a tier is skipped', async () => {
  const { code, output } = await runner(['test/api'], failingGo('dial tcp: lookup nowhere: no such host'));
  assert.equal(code, 0, output);
  assert.match(output, /server\.test\.ts: the Go modules cannot be fetched: .* needs the network\n/);
});

test('a preparation that fails for another reason fails the run', async () => {
  const { code, output } = await runner(['good', 'test/api'], failingGo('syntax error'));
  assert.equal(code, 1);
  assert.match(output, /the tier api could not be prepared: go .* failed:\nsyntax error/);
  assert.match(output, /# tests 2\n# suites 0\n# pass 1\n# fail 0\n# cancelled 0\n# skipped 1\n/);
});

test('a run can be repeated, and one failure in any of them fails it', async () => {
  const { code, output } = await runner(['--times', '3', 'good']);
  assert.equal(code, 0, output);
  assert.match(output, /run 3 of 3, 0 failed before/);
  assert.match(output, /# tests 3\n# suites 0\n# pass 3\n/);
  assert.equal((await runner(['--times', '2', 'good', 'bad'])).code, 1);
});

test('arguments that match nothing are an error', async () => {
  for (const args of [['nothing-like-that'], ['--tier', 'none'], ['--watch'], ['--times', '0']]) {
    const { code, output } = await runner(args);
    assert.equal(code, 2, output);
  }
});
