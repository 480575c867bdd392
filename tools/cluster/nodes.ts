import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { makeCgroup } from './cgroups.ts';
import { linkStore } from './image/store.ts';
import type { Layout, NodeLayout } from './layout.ts';
import { findProcesses } from './processes.ts';
import type { Supervisor } from './supervisor.ts';

const run = promisify(execFile);

/** What a node has from the start. */
export interface NodeImages {
  /** The first one must be that of the pause container. */
  readonly archives: readonly string[];
  /** A root folder of containerd with all of them. */
  readonly store: string;
}

/** Starts runtime and kubelet; resolves when the node has every image. */
export async function startNode(
  layout: Layout,
  supervisor: Supervisor,
  node: NodeLayout,
  images: NodeImages,
): Promise<void> {
  makeCgroup(layout.nodeCgroup(node.name));
  const root = layout.at(node.name, 'containerd');
  mkdirSync(layout.at(node.name), { recursive: true });
  // A node that comes back has them still.
  const there = existsSync(root) || linkStore(images.store, root);
  supervisor.start(`containerd-${node.name}`);
  const socket = layout.containerd(node.name);
  await supervisor.until(`containerd of ${node.name}`, 'ctr', '-a', socket, 'version');
  for (const archive of there ? [] : images.archives)
    await run('ctr', ['-a', socket, '-n', 'k8s.io', 'images', 'import', archive]);
  supervisor.start(`kubelet-${node.name}`);
}

/** Power goes: runtime, shims and containers end at once, and after the next start nothing of them is mounted or in memory. */
export async function killNode(layout: Layout, supervisor: Supervisor, node: NodeLayout): Promise<void> {
  await supervisor.kill(`kubelet-${node.name}`);
  await supervisor.kill(`containerd-${node.name}`);
  const socket = layout.containerd(node.name);
  const group = `${layout.nodeCgroup(node.name)}/`;
  for (const pid of findProcesses(({ command, groups }) => command.includes(socket) || groups.includes(group)))
    sendSignal(pid, 'SIGKILL');
  unmountBelow(layout.at(node.name));
  for (const name of ['state', 'kubelet/pods'])
    rmSync(layout.at(node.name, name), { recursive: true, force: true, maxRetries: 3 });
  freeAddresses(layout.at(node.name, 'ipam'));
}

/**
 * Every address is free again, but which one was given last is remembered, as on a disk that outlives the power: an address that is given to
 * another Pod at once is not reached for half a minute by who has talked to the earlier one.
 */
function freeAddresses(folder: string): void {
  if (!existsSync(folder)) return;
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    if (isIPv4(basename(path))) rmSync(join(folder, path), { force: true });
}

/** Number of processes of the Pod whose command line matches. */
export function signalPod(uid: string, command: string, name: NodeJS.Signals): number {
  return findProcesses((found) => found.groups.includes(`pod${uid}`) && found.command.includes(command)).filter((pid) =>
    sendSignal(pid, name),
  ).length;
}

function sendSignal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    // It has ended with its parent.
    return false;
  }
}

/** Root file systems and volumes of containers: else their files would be deleted one by one, and the mount points not at all. */
function unmountBelow(folder: string): void {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);
  for (const point of points) execFileSync('umount', ['-l', point], { stdio: 'ignore' });
}
