import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { INSTALL_SCRIPT, installPlan, missingPackages } from '../setup/packages.mjs';
import { Obstacle } from './obstacle.ts';

/** Where programs of administrators stand; a user's PATH may lack them. */
export const PROGRAM_PATH = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;

interface SystemPackage {
  readonly name: string;
  readonly find: string;
  readonly reason: string;
}

/** What the cluster takes from the distribution; none of it is started as a service. `find`: as in tools/setup/packages.mjs. */
export const CLUSTER_PACKAGES: readonly SystemPackage[] = [
  { name: 'containerd', find: 'containerd', reason: 'runs the containers of both nodes' },
  { name: 'runc', find: 'runc', reason: 'makes each container' },
  { name: 'containernetworking-plugins', find: '/usr/lib/cni/bridge', reason: 'gives Pods their network' },
  { name: 'iptables', find: 'iptables', reason: 'host ports of Pods' },
  { name: 'nftables', find: 'nft', reason: 'Services, through kube-proxy' },
  { name: 'conntrack', find: 'conntrack', reason: 'kube-proxy clears old connections with it' },
  { name: 'ipset', find: 'ipset', reason: 'kube-proxy asks for it' },
  { name: 'iproute2', find: 'ip', reason: 'makes the network of the cluster' },
  { name: 'util-linux', find: 'nsenter', reason: 'makes and enters the namespaces of the cluster' },
  { name: 'procps', find: 'sysctl', reason: 'lets the network of the cluster forward' },
  { name: 'openssl', find: 'openssl', reason: 'signs the certificates' },
  { name: 'debootstrap', find: 'debootstrap', reason: 'makes the base of the images' },
  { name: 'gcc', find: 'gcc', reason: 'compiles the container that Pods are built around' },
  { name: 'libc6-dev', find: '/usr/lib/x86_64-linux-gnu/libc.a', reason: 'is linked into it' },
];

/** What the tests of the edge take from it. */
export const EDGE_PACKAGES: readonly SystemPackage[] = [
  { name: 'haproxy', find: 'haproxy', reason: 'the edge in front of the workers' },
];

/** Installs what is missing of them; throws an Obstacle when that cannot be done here. */
export function ensurePackages(say: (line: string) => void, packages: readonly SystemPackage[]): void {
  const lacking = (): SystemPackage[] => missingPackages([...packages], existsSync, PROGRAM_PATH);
  const missing = lacking();
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  const hasApt = spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0;
  const plan = installPlan(names, { isRoot: process.getuid?.() === 0, canSudo: false, hasApt });
  if (plan.kind === 'foreign') throw new Obstacle(`these Debian packages are needed: ${names.join(' ')}`);
  if (plan.kind === 'tell') throw new Obstacle(`these packages are needed; please run: ${plan.line}`);
  const command = plan.command ?? [];
  say(`installing with ${command.join(' ')}`);
  for (const { name, reason } of missing) say(`  ${name}: ${reason}`);
  const { status } = spawnSync('sh', ['-c', INSTALL_SCRIPT, 'sh', ...command], { stdio: ['ignore', 2, 2] });
  const still = lacking().map(({ name }) => name);
  if (status !== 0 || still.length > 0)
    throw new Obstacle(`these packages could not be installed: ${still.join(' ') || names.join(' ')}`);
}
