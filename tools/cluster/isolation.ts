import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { NETWORK, NODES } from './layout.ts';

/** Folders that container runtime, network plugins and kubelet write to wherever their own are: the cluster sees empty ones in memory. */
const HIDDEN = ['/run', '/var/lib/cni', '/var/lib/kubelet', '/var/log/containers'];

const sh = (command: string, ...args: string[]) =>
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });

/** Inside new namespaces: nothing that the cluster mounts or writes outside its folder is seen by the machine. */
export function isolateFiles(folder: string): void {
  sh('mount', '--make-rprivate', '/');
  for (const path of HIDDEN) {
    if (`${folder}/`.startsWith(`${path}/`)) throw new Error(`the folder of a cluster must not be below ${path}`);
    mkdirSync(path, { recursive: true });
    sh('mount', '-t', 'tmpfs', '-o', 'mode=755', 'rtvoice', path);
  }
}

/** One bridge that all Pods and both nodes are on, and no way out of it. */
export function makeNetwork(): void {
  sh('ip', 'link', 'set', 'lo', 'up');
  sh('ip', 'link', 'add', NETWORK.bridge, 'type', 'bridge');
  for (const { ip } of NODES) sh('ip', 'addr', 'add', `${ip}/16`, 'dev', NETWORK.bridge);
  sh('ip', 'link', 'set', NETWORK.bridge, 'up');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  // Else kube-proxy never sees a packet to a Service.
  sh('ip', 'route', 'add', NETWORK.services, 'dev', NETWORK.bridge);
}
