import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { Obstacle } from './obstacle.ts';
import { BINARIES, GO_CACHE } from './paths.ts';
import { VERSIONS } from './versions.ts';

interface Build {
  readonly name: string;
  /** Go package to build. */
  readonly target: string;
  /** Folder with the go.mod to build in; undefined: `go install` of the package by itself. */
  readonly module: 'kubernetes' | 'etcd' | 'coredns' | undefined;
}

/** What `go` prints when it reaches nobody. */
const NO_NETWORK = /dial tcp|no such host|i\/o timeout|network is unreachable|module lookup disabled/;
const KUBERNETES = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'kubectl'];
const BUILDS: readonly Build[] = [
  ...KUBERNETES.map((name): Build => ({ name, target: `k8s.io/kubernetes/cmd/${name}`, module: 'kubernetes' })),
  { name: 'etcd', target: 'go.etcd.io/etcd/server/v3', module: 'etcd' },
  { name: 'coredns', target: 'github.com/coredns/coredns', module: 'coredns' },
  { name: 'kwok', target: `sigs.k8s.io/kwok/cmd/kwok@v${VERSIONS.kwok}`, module: undefined },
];

/** Names of the programs that are not built yet. */
export function missingBinaries(names: readonly string[] = BUILDS.map(({ name }) => name)): string[] {
  return names.filter((name) => !existsSync(join(BINARIES, name)));
}

function checkGo(missing: readonly string[]): void {
  const { status, stdout } = spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8' });
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  const [wantedMajor = 0, wantedMinor = 0] = VERSIONS.go.split('.').map(Number);
  const newEnough = Number(major) > wantedMajor || (Number(major) === wantedMajor && Number(minor) >= wantedMinor);
  if (status === 0 && newEnough) return;
  throw new Obstacle(
    `Go ${VERSIONS.go} or newer is needed to build ${missing.join(', ')} once (found ${stdout?.trim() || 'none'})`,
  );
}

/** Builds what is missing from Go modules, once per version; two runs at once do not disturb each other. About six minutes on two cores. Throws an Obstacle without Go or network. */
export async function buildBinaries(say: (line: string) => void, names?: readonly string[]): Promise<void> {
  const missing = missingBinaries(names);
  if (missing.length === 0) return;
  checkGo(missing);
  mkdirSync(BINARIES, { recursive: true });
  await withLock(
    join(BINARIES, '.lock'),
    () => say('waiting for another build of the cluster programs'),
    () => buildAll(say, names),
  );
}

async function buildAll(say: (line: string) => void, names?: readonly string[]): Promise<void> {
  const wanted = new Set(missingBinaries(names));
  const missing = BUILDS.filter(({ name }) => wanted.has(name));
  for (const [index, build] of missing.entries()) {
    const startMs = performance.now();
    say(
      `building ${build.name}, ${index + 1} of ${missing.length} (once, into ${BINARIES}; all take about six minutes)`,
    );
    await compile(build);
    say(`built ${build.name} in ${Math.round((performance.now() - startMs) / 1000)} s`);
  }
  if (process.env.RTVOICE_KEEP_GO_CACHE === '1') return;
  say('giving back the disk space of the Go caches');
  rmSync(GO_CACHE, { recursive: true, force: true });
}

async function compile({ name, target, module }: Build): Promise<void> {
  const built = join(BINARIES, `.${name}.new`);
  if (module === undefined) {
    const folder = join(BINARIES, '.install');
    await go(['install', '-trimpath', '-ldflags', '-s -w', target], { GOBIN: folder }, BINARIES);
    renameSync(join(folder, name), built);
    rmSync(folder, { recursive: true });
  } else {
    const folder = await prepareModule(module);
    await go(['build', '-mod=mod', '-trimpath', '-ldflags', linkerFlags(module), '-o', built, target], {}, folder);
  }
  renameSync(built, join(BINARIES, name));
}

/** Without these `/version` names no release, and version ranges of charts fail. */
function linkerFlags(module: Build['module']): string {
  if (module !== 'kubernetes') return '-s -w';
  const [major, minor] = VERSIONS.kubernetes.split('.');
  const at = 'k8s.io/component-base/version';
  return `-s -w -X ${at}.gitVersion=v${VERSIONS.kubernetes} -X ${at}.gitMajor=${major} -X ${at}.gitMinor=${minor}`;
}

/** A go.mod that requires the program; Kubernetes' own replacements by folders have to be given as versions. */
async function prepareModule(module: NonNullable<Build['module']>): Promise<string> {
  const folder = join(GO_CACHE, 'modules', module);
  if (existsSync(join(folder, 'go.mod'))) return folder;
  mkdirSync(folder, { recursive: true });
  const required = {
    kubernetes: `k8s.io/kubernetes@v${VERSIONS.kubernetes}`,
    etcd: `go.etcd.io/etcd/server/v3@v${VERSIONS.etcd}`,
    coredns: `github.com/coredns/coredns@v${VERSIONS.coredns}`,
  }[module];
  writeFileSync(join(folder, 'go.mod'), `module rtvoice.dev/${module}\n\ngo ${VERSIONS.go}\n`);
  await go(['mod', 'edit', '-require', required], {}, folder);
  if (module !== 'kubernetes') return folder;
  const { GoMod } = JSON.parse(await go(['mod', 'download', '-json', required], {}, folder)) as { GoMod: string };
  const staged = [...readFileSync(GoMod, 'utf8').matchAll(/^\s*(k8s\.io\/\S+) => \.\/staging\/src\//gm)].map(
    ([, name]) => name,
  );
  const version = `v0.${VERSIONS.kubernetes.split('.').slice(1).join('.')}`;
  await go(['mod', 'edit', ...staged.map((name) => `-replace=${name}=${name}@${version}`)], {}, folder);
  return folder;
}

async function go(args: readonly string[], env: Record<string, string>, cwd: string): Promise<string> {
  const child = spawn('go', args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      CGO_ENABLED: '0',
      GOTOOLCHAIN: 'local',
      GOCACHE: join(GO_CACHE, 'build'),
      GOMODCACHE: join(GO_CACHE, 'mod'),
      // Else the cache could not be deleted.
      GOFLAGS: '-modcacherw',
      ...env,
    },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err = (err + chunk.toString()).slice(-8_000);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return out;
  if (NO_NETWORK.test(err))
    throw new Obstacle(
      `the Go modules cannot be fetched: building the cluster programs needs the network\n${err.slice(-600)}`,
    );
  throw new Error(`go ${args.slice(0, 3).join(' ')} failed:\n${err}`);
}
