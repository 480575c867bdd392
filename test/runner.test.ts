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
  for (const part of ['tools/test.ts', 'tools/files.ts', 'tools/runner', 'platform']) {
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
  // Inside a test of a test: without the outer marks the inner runner would report to the outer one.
  const { NODE_TEST_CONTEXT: _context, ...inherited } = process.env;
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

test('arguments that match nothing are an error', async () => {
  for (const args of [['nothing-like-that'], ['--tier', 'none'], ['--watch']]) {
    const { code, output } = await runner(args);
    assert.equal(code, 2, output);
  }
});
