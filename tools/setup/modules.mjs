import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const STAMP = 'node_modules/.rtvoice-stamp';
/** The binary of Node 22 that runs the product, as node_modules/.bin/node. */
export const BUNDLED_NODE = 'node_modules/.bin/node';

const FILES = [
  'package-lock.json',
  '.npmrc',
  'vendor/uws/package.json',
  'vendor/uws/index.js',
  'vendor/uws/index.d.ts',
];
const FIELDS = ['dependencies', 'devDependencies', 'optionalDependencies', 'bundleDependencies', 'overrides'];

/**
 * What node_modules is made from, as one line. `installerMajor` is the Node that npm runs on, since npm leaves out optional
 * packages that do not fit it; undefined when not started by npm.
 */
export function wantedStamp(root, installerMajor) {
  const hash = createHash('sha256');
  for (const file of FILES)
    hash
      .update(file)
      .update('\0')
      .update(readOr(join(root, file), ''));
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  // Only what npm installs from: a changed script must not cost an installation.
  for (const field of FIELDS) hash.update(JSON.stringify(manifest[field] ?? null));
  return `${hash.digest('hex')} node${installerMajor ?? '*'}`;
}

/** True when node_modules was made from these files, by the same major version of Node where that is known. */
export function isCurrent(root, installerMajor) {
  if (!existsSync(join(root, BUNDLED_NODE))) return false;
  const [hash, node] = readOr(join(root, STAMP), '').trim().split(' ');
  const [wantedHash, wantedNode] = wantedStamp(root, installerMajor).split(' ');
  return hash === wantedHash && (node === wantedNode || wantedNode === 'node*' || node === 'node*');
}

/**
 * Once node_modules is there, this very script runs on the bundled Node; what decides is the Node of the npm that started it
 * (`npm/11.1.0 node/v20.1.0 linux x64`).
 */
export function installerMajor(env) {
  const found = /\bnode\/v(\d+)\./.exec(env.npm_config_user_agent ?? '');
  return found ? Number(found[1]) : undefined;
}

/**
 * The npm that started us, by its own Node: the `node` on the PATH of a script is the one inside the node_modules that
 * `npm ci` is about to delete. By hand: the npm of the PATH without that folder.
 */
export function npmCommand(env, root) {
  const path = (env.PATH ?? '').split(':').filter((folder) => folder !== join(root, 'node_modules/.bin'));
  const cleaned = { ...env, PATH: path.join(':') };
  if (env.npm_node_execpath && env.npm_execpath && existsSync(env.npm_node_execpath) && existsSync(env.npm_execpath)) {
    return { command: env.npm_node_execpath, args: [env.npm_execpath], env: cleaned };
  }
  return { command: 'npm', args: [], env: cleaned };
}

function readOr(file, fallback) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return fallback;
    throw error;
  }
}
