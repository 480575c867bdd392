import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** Addresses inside the cluster's own network namespace: nothing of them is seen outside. */
export const NETWORK = {
  pods: '10.88.0.0/16',
  services: '10.96.0.0/16',
  api: '10.88.0.1',
  apiPort: 6443,
  bridge: 'cni0',
} as const;

export interface NodeLayout {
  readonly name: string;
  /** Of its kubelet, on the bridge. */
  readonly ip: string;
  /** Range that its Pods get addresses from. */
  readonly range: { readonly start: string; readonly end: string };
}

/** Two real nodes, each with a containerd and a kubelet of its own. */
export const NODES: readonly NodeLayout[] = [
  { name: 'node1', ip: '10.88.0.1', range: { start: '10.88.1.1', end: '10.88.1.254' } },
  { name: 'node2', ip: '10.88.255.2', range: { start: '10.88.2.1', end: '10.88.2.254' } },
];

export const USERS = {
  admin: { name: 'admin', groups: ['system:masters'] },
  manager: { name: 'system:kube-controller-manager', groups: [] },
  scheduler: { name: 'system:kube-scheduler', groups: [] },
  proxy: { name: 'system:kube-proxy', groups: [] },
  dns: { name: 'coredns', groups: ['system:masters'] },
} as const;

export const nodeUser = (node: string) => ({ name: `system:node:${node}`, groups: ['system:nodes'] });

/** Files of one cluster; `folder` must be short, since sockets stand in it. */
export class Layout {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  at(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  log(name: string): string {
    return this.at('log', `${name}.log`);
  }

  kubeconfig(user: string): string {
    return this.at('pki', `${user.replaceAll(':', '-')}.kubeconfig`);
  }

  /** Control group of everything in this cluster: two clusters at once must not share one, since a kubelet ends what it does not know. */
  get cgroup(): string {
    return `/rtvoice-${createHash('sha256').update(this.folder).digest('hex').slice(0, 12)}`;
  }

  nodeCgroup(node: string): string {
    return `${this.cgroup}/${node}`;
  }

  /** Commands to the process inside. */
  get control(): string {
    return this.at('control.sock');
  }

  /** Written once everything runs. */
  get ready(): string {
    return this.at('ready');
  }

  /** Written instead when it never did: why. */
  get failed(): string {
    return this.at('failed');
  }

  /** The API server, for this machine. */
  get api(): string {
    return this.at('api.sock');
  }

  containerd(node: string): string {
    return this.at(`${node}.sock`);
  }
}
