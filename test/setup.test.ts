import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { ROOT } from '../tools/files.ts';

/**
 * The set-up script in a small project of its own. `npm ci` is the real one, with a package inside the project as the only
 * dependency, so that no registry is needed; apt-get is a recording script on the PATH, since a test must not install packages.
 */
let base: string;
let project: string;
let programs: string;

before(() => {
  base = mkdtempSync(join(tmpdir(), 'setup-'));
  programs = join(base, 'programs');
  mkdirSync(programs);
});
after(() => rmSync(base, { recursive: true, force: true }));

beforeEach(() => {
  project = mkdtempSync(join(base, 'project-'));
  for (const part of ['tools/setup.mjs', 'tools/setup', '.npmrc']) {
    cpSync(join(ROOT, part), join(project, part), { recursive: true });
  }
  const tool = join(project, 'vendor/node');
  mkdirSync(tool, { recursive: true });
  // Stands where the bundled Node stands in the product: a package with a program `node`.
  writeFileSync(join(tool, 'node'), '#!/bin/sh\necho v22.0.0\n');
  chmodSync(join(tool, 'node'), 0o755);
  writeFileSync(
    join(tool, 'package.json'),
    JSON.stringify({ name: 'bundled', version: '1.0.0', bin: { node: 'node' } }),
  );
  writeManifest({});
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

function writeManifest(extra: Record<string, unknown>): void {
  const dependencies = { bundled: 'file:vendor/node' };
  const manifest = { name: 'p', version: '1.0.0', dependencies, ...extra };
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest));
  const entry = { version: '1.0.0', bin: { node: 'node' }, resolved: 'file:vendor/node' };
  const packages = { '': { name: 'p', version: '1.0.0', dependencies }, 'node_modules/bundled': entry };
  writeFileSync(
    join(project, 'package-lock.json'),
    JSON.stringify({ name: 'p', version: '1.0.0', lockfileVersion: 3, requires: true, packages }),
  );
}

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

function start(env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, [join(project, 'tools/setup.mjs')], { env: { ...process.env, ...env } });
}

async function ended(child: ChildProcess): Promise<Ended> {
  let out = '';
  let err = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk;
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, out, err };
}

const setup = (env: Record<string, string> = {}): Promise<Ended> => ended(start(env));
const inodeOf = (): string => readFileSync(join(project, 'node_modules/.rtvoice-stamp'), 'utf8');

test('a fresh clone gets its modules, says so on standard error alone, and the next run does nothing', async () => {
  const first = await setup();
  assert.equal(first.code, 0, first.err);
  assert.equal(first.out, '');
  assert.match(first.err, /installing node_modules with npm ci[\s\S]*ready: Node v22\.0\.0/);
  const marker = join(project, 'node_modules/marker');
  writeFileSync(marker, '');
  assert.deepEqual(await setup(), { code: 0, out: '', err: '' });
  assert.ok(existsSync(marker), 'node_modules was made again');
});

test('a changed dependency installs again, a changed script does not', async () => {
  await setup();
  const stamp = inodeOf();
  writeManifest({ scripts: { start: 'true' } });
  // The lockfile is the same text again.
  assert.deepEqual(await setup(), { code: 0, out: '', err: '' });
  writeManifest({ overrides: { other: '1.0.0' } });
  const again = await setup();
  assert.equal(again.code, 0, again.err);
  assert.match(again.err, /npm ci/);
  assert.notEqual(inodeOf(), stamp);
});

test('another major version of the Node that npm runs on installs again; the bundled Node in its place does not', async () => {
  const agent = (major: number) => ({ npm_config_user_agent: `npm/11.0.0 node/v${major}.1.0 linux x64` });
  await setup(agent(20));
  assert.equal((await setup(agent(20))).err, '');
  assert.match((await setup(agent(24))).err, /npm ci/);
  assert.equal((await setup({ npm_config_user_agent: '' })).err, '');
});

test('two at once install once, and both find it done', async () => {
  const results = await Promise.all([setup(), setup()]);
  assert.deepEqual(
    results.map(({ code }) => code),
    [0, 0],
  );
  const installations = results
    .map(({ err }) => err)
    .join('')
    .match(/npm ci/g);
  assert.equal(installations?.length, 1);
});

test('a set-up that is killed leaves no lock behind', async () => {
  const child = start();
  const result = ended(child);
  await new Promise<void>((resolve) => child.stderr?.once('data', () => resolve()));
  child.kill('SIGKILL');
  await result;
  assert.equal((await setup()).code, 0);
});

test('a failing npm ci says what to do and leaves no stamp', async () => {
  writeFileSync(join(project, 'package-lock.json'), '{}');
  const { code, out, err } = await setup();
  assert.equal(code, 1);
  assert.equal(out, '');
  assert.match(err, /npm ci failed/);
  assert.equal(existsSync(join(project, 'node_modules/.rtvoice-stamp')), false);
});
