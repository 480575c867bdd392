import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT } from '../tools/files.ts';

const exec = promisify(execFile);
const NPM = ['--loglevel=error', '--ignore-scripts', '--prefer-offline'];

/** What a user sees: the tarball, installed into a project elsewhere. */
let folder: string;
let packed: string[];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'package-'));
  await exec(process.execPath, [join(ROOT, 'tools/build.ts')]);
  const { stdout } = await exec('npm', ['pack', '--json', '--pack-destination', folder, ...NPM], {
    cwd: ROOT,
    maxBuffer: 16 * 2 ** 20,
  });
  const [tarball] = listOf(JSON.parse(stdout));
  assert.ok(tarball);
  packed = tarball.files.map(({ path }) => path);
  mkdirSync(join(folder, 'project'));
  writeFileSync(join(folder, 'project/package.json'), '{ "name": "project", "type": "module", "private": true }');
  await exec('npm', ['install', ...NPM, join(folder, tarball.filename)], { cwd: join(folder, 'project') });
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Packed {
  filename: string;
  files: { path: string }[];
}

/** npm 12 answers with an object by name, older ones with a list. */
function listOf(answer: Packed[] | Record<string, Packed>): Packed[] {
  return Array.isArray(answer) ? answer : Object.values(answer);
}

async function inProject(script: string): Promise<string> {
  const { stdout } = await exec(process.execPath, ['--input-type=module', '-e', script], {
    cwd: join(folder, 'project'),
  });
  return stdout.trim();
}

test('the tarball holds what runs and nothing that does not', () => {
  for (const file of [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli/main.js',
    'dist/worker/main.js',
    'dist/controller/main.js',
    'dist/crds/voiceworkerpool.yaml',
    'dist/examples/pool.yaml',
    'crds/voiceworkerpool.yaml',
    'node_modules/uWebSockets.js/index.js',
    'LICENSE',
    'README.md',
  ]) {
    assert.ok(packed.includes(file), `${file} is missing`);
  }
  const stray = packed.filter((file) =>
    /\.test\.|^(test|tools|bench|\.rtvoice|\.ci)\/|^dist\/(test|tools|bench)\//.test(file),
  );
  assert.deepEqual(stray, []);
  // Only the shim is bundled; the binaries come from the user's own registry.
  assert.deepEqual(
    packed.filter((file) => file.startsWith('node_modules/') && !file.startsWith('node_modules/uWebSockets.js/')),
    [],
  );
});

test('the library exports its public names', async () => {
  const names = JSON.parse(
    await inProject(`console.log(JSON.stringify(Object.keys(await import('rtvoice'))))`),
  ) as string[];
  for (const name of [
    'AsyncAzureRedisManager',
    'CALL_TTLS',
    'Component',
    'ConversationManager',
    'RedisCallStore',
    'RedisClient',
    'RedisKeyManager',
    'RtvoiceError',
    'TTL_POLICIES',
    'parsePool',
    'readPool',
  ]) {
    assert.ok(names.includes(name), `${name} is not exported`);
  }
});

test('the installed library finds its schema and examples', async () => {
  const script = `import { readPool } from 'rtvoice';
    console.log(JSON.stringify(readPool('node_modules/rtvoice/examples/pool.yaml')))`;
  const pool = JSON.parse(await inProject(script)) as {
    metadata: { name: string };
    spec: { redis: { keyPrefix: string } };
  };
  assert.equal(pool.metadata.name, 'frontdesk');
  assert.equal(pool.spec.redis.keyPrefix, 'rtvoice');
});

test('uWebSockets.js loads from where the worker would load it', async () => {
  const script = `import { createRequire } from 'node:module';
    const require = createRequire(process.cwd() + '/node_modules/rtvoice/dist/worker/server.js');
    console.log(typeof require('uWebSockets.js').App)`;
  assert.equal(await inProject(script), 'function');
});

test('the command answers --help', async () => {
  const command = join(folder, 'project/node_modules/.bin/rtvoice');
  assert.ok(existsSync(command));
  const { stdout } = await exec(command, ['--help']);
  assert.match(stdout, /rtvoice dev/);
});

test('the declarations compile in a strict project', async () => {
  const project = join(folder, 'project');
  writeFileSync(
    join(project, 'use.ts'),
    `import { parsePool, RedisKeyManager, type PoolSpec } from 'rtvoice';
const spec: PoolSpec = parsePool('').spec;
export const workers: number = spec.minWorkers;
// @ts-expect-error Types that cannot be resolved would be \`any\`, and this line then no error.
export const wrong: string = spec.minWorkers;
export const manager: RedisKeyManager = new RedisKeyManager({ environment: 'dev' });
`,
  );
  const options = { strict: true, module: 'nodenext', target: 'es2024', noEmit: true, types: [], skipLibCheck: true };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['use.ts'] }));
  await exec(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project]).catch((error: { stdout?: string }) => {
    assert.fail(error.stdout ?? String(error));
  });
});

test('the manifest names no folder of the checkout but the bundled one', () => {
  const manifest = JSON.parse(readFileSync(join(folder, 'project/node_modules/rtvoice/package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
    bundleDependencies: string[];
  };
  const local = Object.entries(manifest.dependencies).filter(([, range]) => range.startsWith('file:'));
  assert.deepEqual(
    local.map(([name]) => name),
    manifest.bundleDependencies,
  );
});
