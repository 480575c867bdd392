/**
 * Programs and libraries that rtvoice takes from the distribution, the only list of them.
 * `find`: where each is looked for; a bare name on the PATH, `lib:` in the library folders, else a path.
 */
export const SYSTEM_PACKAGES = [
  { name: 'redis-server', find: 'redis-server', reason: 'local mode and the tests keep calls in a Redis of their own' },
  { name: 'flite', find: 'flite', reason: 'speaks for simulated callers' },
  { name: 'libflite1', find: 'lib:libflite.so.1', reason: 'the voice of the Offline backend' },
  { name: 'libpocketsphinx3', find: 'lib:libpocketsphinx.so.3', reason: 'the ear of the Offline backend' },
  { name: 'pocketsphinx-en-us', find: '/usr/share/pocketsphinx/model/en-us', reason: 'its English language model' },
  { name: 'openssl', find: 'openssl', reason: 'makes the certificates of the simulated Azure' },
];

const LIBRARY_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/lib/x86_64-linux-gnu',
  '/usr/local/lib',
  '/usr/lib64',
  '/usr/lib',
];
const EXTRA_PROGRAM_FOLDERS = ['/usr/local/bin', '/usr/bin', '/bin'];

/** Those of `packages` that are not there; `exists` tells of an absolute path, `pathVariable` is the PATH. */
export function missingPackages(packages, exists, pathVariable) {
  const programFolders = [
    ...pathVariable.split(':').filter((folder) => folder.startsWith('/')),
    ...EXTRA_PROGRAM_FOLDERS,
  ];
  return packages.filter(({ find }) => {
    if (find.startsWith('/')) return !exists(find);
    const [folders, file] = find.startsWith('lib:') ? [LIBRARY_FOLDERS, find.slice(4)] : [programFolders, find];
    return !folders.some((folder) => exists(`${folder}/${file}`));
  });
}

/**
 * How the missing ones can be installed here.
 * `run`: by this process, with `prefix` before the command; `tell`: the user must run `line`; `foreign`: not a Debian system.
 */
export function installPlan(names, { isRoot, canSudo, hasApt }) {
  const command = ['apt-get', 'install', '-y', '--no-install-recommends', ...names];
  if (!hasApt) return { kind: 'foreign' };
  if (isRoot) return { kind: 'run', prefix: [], command };
  if (canSudo) return { kind: 'run', prefix: ['sudo', '-n'], command };
  return { kind: 'tell', line: `sudo ${command.join(' ')}` };
}

/**
 * apt-get in a shell that keeps the packages' services from being started: rtvoice starts a Redis of its own. With systemd only a
 * policy-rc.d does that; one that exists is respected, and ours goes away with the shell, whatever ends it.
 * The lists of a fresh container are empty, so a first failure is followed by an update and one more try.
 */
export const INSTALL_SCRIPT = `
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
"$@" -q -o DPkg::Lock::Timeout=120 || { apt-get update -q && "$@" -q -o DPkg::Lock::Timeout=120; }
`;
