import assert from 'node:assert/strict';
import { test } from 'node:test';
import { installerMajor, npmCommand } from './modules.mjs';
import { installPlan, missingPackages, SYSTEM_PACKAGES } from './packages.mjs';

const namesOf = (packages: { name: string }[]): string[] => packages.map(({ name }) => name);

test('programs are looked for on the PATH, libraries in their folders, models at their path', () => {
  const there = new Set([
    '/opt/own/redis-server',
    '/usr/bin/flite',
    '/usr/lib/x86_64-linux-gnu/libflite.so.1',
    '/usr/share/pocketsphinx/model/en-us',
  ]);
  const missing = missingPackages(SYSTEM_PACKAGES, (path: string) => there.has(path), '/opt/own:relative:');
  assert.deepEqual(namesOf(missing), ['libpocketsphinx3', 'openssl']);
});

test('nothing there: every package is missing, each with a reason', () => {
  const missing = missingPackages(SYSTEM_PACKAGES, () => false, '');
  assert.deepEqual(missing, SYSTEM_PACKAGES);
  for (const { name, reason } of missing) assert.ok(reason, name);
});

test('root installs, a user with sudo installs through it, another is told the exact line, another system is told so', () => {
  const apt = ['apt-get', 'install', '-y', '--no-install-recommends', 'flite'];
  const plan = (isRoot: boolean, canSudo: boolean, hasApt = true): unknown =>
    installPlan(['flite'], { isRoot, canSudo, hasApt });
  assert.deepEqual(plan(true, false), { kind: 'run', prefix: [], command: apt });
  assert.deepEqual(plan(false, true), { kind: 'run', prefix: ['sudo', '-n'], command: apt });
  assert.deepEqual(plan(false, false), { kind: 'tell', line: `sudo ${apt.join(' ')}` });
  assert.deepEqual(plan(true, true, false), { kind: 'foreign' });
});

test('the Node of the npm that started the script is what counts', () => {
  assert.equal(installerMajor({ npm_config_user_agent: 'npm/11.1.0 node/v20.20.2 linux x64 workspaces/false' }), 20);
  assert.equal(installerMajor({}), undefined);
});

test('npm never runs on the Node that it is about to delete', () => {
  const env = {
    PATH: '/p/node_modules/.bin:/usr/bin',
    npm_node_execpath: process.execPath,
    npm_execpath: process.execPath,
  };
  assert.deepEqual(npmCommand(env, '/p'), {
    command: process.execPath,
    args: [process.execPath],
    env: { ...env, PATH: '/usr/bin' },
  });
  assert.equal(npmCommand({ PATH: '/p/node_modules/.bin:/usr/bin' }, '/p').command, 'npm');
});
