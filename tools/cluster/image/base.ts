import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { Obstacle } from '../obstacle.ts';
import { PROGRAM_PATH } from '../packages.ts';
import { IMAGES } from '../paths.ts';
import { VERSIONS } from '../versions.ts';
import { run } from './run.ts';

/** What the worker needs of the distribution at run time. */
const WORKER_PACKAGES = [
  'ca-certificates',
  'libatomic1',
  'libstdc++6',
  'libflite1',
  'libpocketsphinx3',
  'pocketsphinx-en-us',
];
/** What stands beside it in the tests. */
const TOOL_PACKAGES = [...WORKER_PACKAGES, 'redis-server', 'haproxy', 'openssl', 'flite', 'socat', 'curl'];

export const FLAVOURS = { rtvoice: WORKER_PACKAGES, tools: TOOL_PACKAGES } as const;
export type Flavour = keyof typeof FLAVOURS;

/** Of no use at run time, or true of the machine that made the image alone. The list of packages stays, for scanners. */
const TRIMMED = [
  ...['etc/apt', 'etc/hostname', 'etc/resolv.conf', 'etc/machine-id', 'etc/*-'],
  ...['usr/bin/{apt,dpkg,debconf,perl}*', 'usr/lib/{apt,dpkg,systemd,udev}', 'usr/sbin/dpkg*'],
  ...['usr/lib/x86_64-linux-gnu/{gconv,perl-base,libapt*}'],
  ...['usr/share/{X11,bash-completion,debconf,doc,info,lintian,locale,man,perl5}'],
  ...['var/cache/*', 'var/log/*', 'var/lib/apt', 'var/lib/dpkg/{info,*-old}', 'tmp/*'],
];
/** Owns nothing; the same number as in the Pods. */
export const USER_ID = 65_532;

/** A root file system of Debian with Node, made once for each choice of packages and versions; gives its folder. */
export function baseSystem(flavour: Flavour, say: (line: string) => void): string {
  const recipe = JSON.stringify([VERSIONS.debian, VERSIONS.nodePackage, FLAVOURS[flavour], TRIMMED]);
  const folder = join(IMAGES, `base-${flavour}-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  mkdirSync(IMAGES, { recursive: true });
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  const startMs = performance.now();
  say(`making the base of the image ${flavour} (once, into ${folder}; about half a minute)`);
  const packages = `--include=${FLAVOURS[flavour].join(',')}`;
  const args = ['--variant=minbase', packages, VERSIONS.debian, fresh, mirror()];
  orObstacle('the packages of the image cannot be fetched', () =>
    run('debootstrap', args, { env: { PATH: PROGRAM_PATH } }),
  );
  for (const path of globSync(TRIMMED, { cwd: fresh })) rmSync(join(fresh, path), { recursive: true, force: true });
  // Nobody becomes another user in a container.
  run('find', [fresh, '-xdev', '-perm', '/6000', '-type', 'f', '-exec', 'chmod', 'a-s', '{}', '+']);
  appendFileSync(join(fresh, 'etc/passwd'), `rtvoice:x:${USER_ID}:${USER_ID}::/tmp:/bin/sh\n`);
  appendFileSync(join(fresh, 'etc/group'), `rtvoice:x:${USER_ID}:\n`);
  installNode(fresh);
  renameSync(fresh, folder);
  say(`made the base of the image ${flavour} in ${Math.round((performance.now() - startMs) / 1000)} s`);
  return folder;
}

/** The binary out of the npm package, by whatever registry npm is set up with. */
function installNode(root: string): void {
  const scratch = join(IMAGES, '.node');
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  const args = ['pack', '--silent', '--pack-destination', scratch, VERSIONS.nodePackage];
  orObstacle('Node for the image cannot be fetched', () => run('npm', args));
  const [archive] = readdirSync(scratch);
  if (archive === undefined) throw new Error(`npm did not give ${VERSIONS.nodePackage}`);
  run('tar', ['-xzf', join(scratch, archive), '-C', scratch]);
  cpSync(join(scratch, 'package/bin/node'), join(root, 'usr/bin/node'));
  rmSync(scratch, { recursive: true, force: true });
}

function orObstacle(what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw new Obstacle(`${what}\n${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Where this machine takes its own packages from. */
function mirror(): string {
  const files = ['/etc/apt/sources.list', ...list('/etc/apt/sources.list.d')].filter((file) => existsSync(file));
  const text = files.map((file) => readFileSync(file, 'utf8')).join('\n');
  const found = /^(?:deb\s+(?:\[[^\]]*\]\s+)?|URIs:\s*)(\S+)/m.exec(text)?.[1];
  if (!found) throw new Obstacle('no Debian mirror is named in /etc/apt; the image cannot be made');
  return found;
}

function list(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}
