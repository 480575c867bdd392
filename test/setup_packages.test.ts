import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ROOT } from '../tools/files.ts';

/**
 * The system part of the set-up, with one made-up package, an apt-get that records its calls, and a policy file elsewhere:
 * a test must not change the machine it runs on.
 */
const root = process.getuid?.() === 0 ? {} : { skip: 'needs root, as the packages do' };
const NOBODY = 65_534;
let project: string;

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'packages-'));
  cpSync(join(ROOT, 'tools/setup.mjs'), join(project, 'tools/setup.mjs'));
  cpSync(join(ROOT, 'tools/setup'), join(project, 'tools/setup'), { recursive: true });
  const list = join(project, 'tools/setup/packages.mjs');
  const text = readFileSync(list, 'utf8')
    .replace(
      /SYSTEM_PACKAGES = \[[\s\S]*?\n\];/,
      `SYSTEM_PACKAGES = [{ name: 'thing', find: '${project}/thing', reason: 'it is needed' }];`,
    )
    .replaceAll('/usr/sbin/policy-rc.d', `${project}/policy-rc.d`);
  writeFileSync(list, text);
  // Modules that are up to date, so that only packages are in question.
  writeFileSync(join(project, 'package.json'), '{}');
  mkdirSync(join(project, 'node_modules/.bin'), { recursive: true });
  writeFileSync(join(project, 'node_modules/.bin/node'), '');
  mkdirSync(join(project, 'programs'));
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

/** `body` is the shell of the recording apt-get, called with the words of its command line. */
function aptGet(body: string): void {
  const file = join(project, 'programs/apt-get');
  writeFileSync(file, `#!/bin/sh\ncase "$1" in --version) exit 0;; esac\necho "$1" >> '${project}/calls'\n${body}\n`);
  chmodSync(file, 0o755);
}

async function setup(options: { uid?: number } = {}): Promise<{ code: number | null; err: string }> {
  const { wantedStamp } = (await import(
    join(project, 'tools/setup/modules.mjs')
  )) as typeof import('../tools/setup/modules.mjs');
  writeFileSync(join(project, 'node_modules/.rtvoice-stamp'), wantedStamp(project, undefined));
  const env = { ...process.env, PATH: `${project}/programs:${process.env.PATH}`, npm_config_user_agent: '' };
  const child = spawn(process.execPath, [join(project, 'tools/setup.mjs')], { env, ...options });
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, err };
}

const calls = (): string[] => readFileSync(join(project, 'calls'), 'utf8').trim().split('\n');

test('a missing package is announced with its reason, then installed while services are held back', root, async () => {
  aptGet(
    `sh '${project}/policy-rc.d'; echo "policy $?" >> '${project}/calls'; touch '${project}/thing'; echo "stdout of apt"`,
  );
  const { code, err } = await setup();
  assert.equal(code, 0, err);
  assert.match(err, /installing with apt-get install -y --no-install-recommends thing\n {2}thing: it is needed/);
  assert.ok(err.indexOf('it is needed') < err.indexOf('stdout of apt'));
  // 101: the action is forbidden by policy.
  assert.deepEqual(calls(), ['install', 'policy 101']);
  assert.equal(existsSync(join(project, 'policy-rc.d')), false);
});

test('a policy that the machine has is left as it is', root, async () => {
  const policy = join(project, 'policy-rc.d');
  writeFileSync(policy, 'own');
  aptGet(`touch '${project}/thing'`);
  assert.equal((await setup()).code, 0);
  assert.equal(readFileSync(policy, 'utf8'), 'own');
});

test('empty package lists are fetched and the installation is tried once more', root, async () => {
  aptGet(
    `[ "$1" = update ] && touch '${project}/lists' && exit 0\n[ -e '${project}/lists' ] || exit 100\ntouch '${project}/thing'`,
  );
  assert.equal((await setup()).code, 0);
  assert.deepEqual(calls(), ['install', 'update', 'install']);
});

test('an installation that fails says how to do it by hand and leaves no policy behind', root, async () => {
  aptGet('exit 100');
  const { code, err } = await setup();
  assert.equal(code, 1);
  assert.match(err, /By hand: apt-get install -y --no-install-recommends thing\n/);
  assert.equal(existsSync(join(project, 'policy-rc.d')), false);
});

test('a package that does not bring what is needed is an error', root, async () => {
  aptGet('exit 0');
  const { code, err } = await setup();
  assert.equal(code, 1);
  assert.match(err, /installed, but not found: thing/);
});

test('a user without rights is told the exact line, and nothing is tried', root, async (t) => {
  const reach = ['-e', `require('node:fs').readdirSync(${JSON.stringify(project)})`];
  chmodSync(project, 0o777);
  if (spawnSync(process.execPath, reach, { uid: NOBODY }).status !== 0)
    return t.skip('another user cannot reach the checkout');
  aptGet('exit 0');
  writeFileSync(join(project, 'programs/sudo'), '#!/bin/sh\nexit 1\n');
  chmodSync(join(project, 'programs/sudo'), 0o755);
  const { code, err } = await setup({ uid: NOBODY });
  assert.equal(code, 1);
  assert.match(err, /Please run: sudo apt-get install -y --no-install-recommends thing\n/);
  assert.equal(existsSync(join(project, 'calls')), false);
});
