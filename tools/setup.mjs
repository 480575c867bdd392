/**
 * Makes a fresh clone ready: system packages, then node_modules. Plain JavaScript without dependencies, since it runs before there
 * are any, on the Node that the user has. Standard output belongs to the command that follows, so everything goes to standard error.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUNDLED_NODE, installerMajor, isCurrent, npmCommand, STAMP, wantedStamp } from './setup/modules.mjs';
import { INSTALL_SCRIPT, installPlan, missingPackages, SYSTEM_PACKAGES } from './setup/packages.mjs';

const OLDEST_NODE = 20;
const LOCK_WAIT_SECONDS = 900;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const say = (line) => process.stderr.write(`setup: ${line}\n`);

class SetupError extends Error {}

function checkPlatform() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < OLDEST_NODE)
    throw new SetupError(`Node ${OLDEST_NODE} or newer is needed, this is ${process.versions.node}.`);
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new SetupError(
      `rtvoice runs on Linux x64 only, this is ${process.platform} ${process.arch}: uWebSockets.js comes as a binary for it.`,
    );
  }
}

/** Slow, so only before something is installed. */
function checkLibc() {
  process.report.excludeNetwork = true;
  if (!process.report.getReport().header.glibcVersionRuntime) {
    throw new SetupError(
      'a Linux with glibc is needed (Debian, Ubuntu, Fedora …); this one has another C library, such as musl.',
    );
  }
}

/** A non-zero end is the caller's to judge. Standard output of the child goes to standard error. */
function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
}

function installPackages(missing) {
  const names = missing.map(({ name }) => name);
  const plan = installPlan(names, {
    isRoot: process.getuid() === 0,
    canSudo: run('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0,
    hasApt: run('apt-get', ['--version'], { stdio: 'ignore' }).status === 0,
  });
  const reasons = missing.map(({ name, reason }) => `  ${name}: ${reason}`).join('\n');
  if (plan.kind === 'foreign')
    throw new SetupError(`these are needed and not here; install them with your package manager:\n${reasons}`);
  if (plan.kind === 'tell') throw new SetupError(`these packages are needed:\n${reasons}\nPlease run: ${plan.line}`);
  say(`installing with ${[...plan.prefix, ...plan.command].join(' ')}\n${reasons}`);
  const [command, ...args] = [...plan.prefix, 'sh', '-c', INSTALL_SCRIPT, 'sh', ...plan.command];
  if (run(command, args).status !== 0) {
    throw new SetupError(
      `that failed, see above. By hand: ${plan.prefix.length ? 'sudo ' : ''}${plan.command.join(' ')}`,
    );
  }
  const still = missingPackages(SYSTEM_PACKAGES, existsSync, process.env.PATH ?? '');
  if (still.length > 0)
    throw new SetupError(`installed, but not found: ${still.map(({ name, find }) => `${name} (${find})`).join(', ')}`);
}

function installModules() {
  const major = installerMajor(process.env);
  const npm = npmCommand(process.env, root);
  say('installing node_modules with npm ci');
  // `prefer-offline`: the lockfile names every version and its hash, so nothing newer could be wanted.
  const args = [...npm.args, 'ci', '--ignore-scripts', '--prefer-offline', '--loglevel=error'];
  if (run(npm.command, args, { env: npm.env }).status !== 0) {
    throw new SetupError('npm ci failed, see above; it needs the network, or a filled npm cache.');
  }
  const check = spawnSync(join(root, BUNDLED_NODE), ['--version'], { encoding: 'utf8' });
  if (check.status !== 0)
    throw new SetupError(`${BUNDLED_NODE} does not run on this machine: ${check.error?.message ?? check.stderr}`);
  writeFileSync(join(root, STAMP), `${wantedStamp(root, major)}\n`);
  say(`ready: Node ${check.stdout.trim()}`);
}

function todo() {
  return {
    packages: missingPackages(SYSTEM_PACKAGES, existsSync, process.env.PATH ?? ''),
    modules: !isCurrent(root, installerMajor(process.env)),
  };
}

/** The work itself. What another setup did while this one waited for the lock is not done again. */
function install() {
  checkLibc();
  const { packages, modules } = todo();
  if (packages.length > 0) installPackages(packages);
  if (modules) installModules();
}

/** flock(1) is on every Linux with util-linux, and the kernel lets the lock go however the holder ends: no stale lock files. */
function underLock() {
  mkdirSync(join(root, '.rtvoice'), { recursive: true });
  const self = [process.execPath, fileURLToPath(import.meta.url), '--locked'];
  const result = run('flock', ['-o', '-w', String(LOCK_WAIT_SECONDS), '-E', '75', '.rtvoice/setup.lock', ...self]);
  if (result.error) throw new SetupError(`flock is needed (package util-linux): ${result.error.message}`);
  if (result.status === 75)
    throw new SetupError(`another setup of this checkout has not ended for ${LOCK_WAIT_SECONDS} s.`);
  return result.status ?? 1;
}

try {
  checkPlatform();
  if (process.argv.includes('--locked')) install();
  else {
    const { packages, modules } = todo();
    if (packages.length > 0 || modules) process.exitCode = underLock();
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
