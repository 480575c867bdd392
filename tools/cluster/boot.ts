/** Runs inside the cluster's namespaces: makes the network, starts every component, and does what the machine asks of it. Argument: the folder. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import {
  apiServer,
  type Command,
  containerd,
  controllerManager,
  coreDns,
  etcd,
  kubelet,
  kubeProxy,
  scheduler,
} from './components.ts';
import { isolateFiles, makeNetwork } from './isolation.ts';
import { Layout, NETWORK, NODES, type NodeLayout } from './layout.ts';
import { killNode, type NodeImages, signalPod, startNode } from './nodes.ts';
import { binary } from './paths.ts';
import { relay } from './relay.ts';
import { Supervisor } from './supervisor.ts';

const layout = new Layout(process.argv[2] ?? '');
const images = JSON.parse(readFileSync(layout.at('images.json'), 'utf8')) as NodeImages;
const kubectl = binary('kubectl');

const COMPONENTS: Readonly<Record<string, () => Command>> = {
  etcd: () => etcd(layout),
  'kube-apiserver': () => apiServer(layout),
  'kube-controller-manager': () => controllerManager(layout),
  'kube-scheduler': () => scheduler(layout),
  'kube-proxy': () => kubeProxy(layout),
  coredns: () => coreDns(layout),
  ...Object.fromEntries(
    NODES.flatMap((node) => [
      [`containerd-${node.name}`, () => containerd(layout, node)],
      [`kubelet-${node.name}`, () => kubelet(layout, node)],
    ]),
  ),
};
const supervisor = new Supervisor(layout, COMPONENTS);
/** They give up when they find no API server for a while. */
const CLIENTS = ['kube-controller-manager', 'kube-scheduler'];

/** What the machine may ask for; see Cluster.order. */
interface Order {
  readonly op: keyof typeof OPERATIONS;
  readonly name?: string;
  readonly uid?: string;
  readonly command?: string;
  readonly signal?: NodeJS.Signals;
}

const OPERATIONS = {
  start: ({ name = '' }: Order) => supervisor.start(name),
  kill: ({ name = '' }: Order) => supervisor.kill(name),
  startNode: ({ name }: Order) => startNode(layout, supervisor, nodeOf(name), images),
  killNode: ({ name }: Order) => killNode(layout, supervisor, nodeOf(name)),
  stopControlPlane: async () => {
    for (const name of ['kube-apiserver', 'etcd']) await supervisor.kill(name);
  },
  startControlPlane: async () => {
    await startServers();
    for (const name of CLIENTS) {
      await supervisor.kill(name);
      supervisor.start(name);
    }
  },
  signalPod: ({ uid = '', command = '', signal = 'SIGKILL' }: Order) => ({
    signalled: signalPod(uid, command, signal),
  }),
  pids: () => supervisor.pids(),
} as const;

function nodeOf(name: string | undefined): NodeLayout {
  const found = NODES.find((node) => node.name === name);
  if (!found) throw new Error(`there is no node ${name}`);
  return found;
}

async function startServers(): Promise<void> {
  for (const name of ['etcd', 'kube-apiserver']) supervisor.start(name);
  await supervisor.until('the API server', kubectl, 'get', '--raw', '/readyz');
}

function serve(): void {
  relay({ port: NETWORK.apiPort, host: NETWORK.api }).listen(layout.api);
  createHttpServer(async (request, response) => {
    try {
      let text = '';
      for await (const chunk of request) text += String(chunk);
      const order = JSON.parse(text) as Order;
      if (!Object.hasOwn(OPERATIONS, order.op)) throw new Error(`there is no operation ${order.op}`);
      response.end(JSON.stringify((await OPERATIONS[order.op](order)) ?? {}));
    } catch (error) {
      response.writeHead(500).end(error instanceof Error ? error.message : String(error));
    }
  }).listen(layout.control);
}

async function boot(): Promise<void> {
  isolateFiles(layout.folder);
  makeNetwork();
  await startServers();
  for (const name of [...CLIENTS, 'kube-proxy', 'coredns']) supervisor.start(name);
  await Promise.all(NODES.map((node) => startNode(layout, supervisor, node, images)));
  for (const { name } of NODES)
    await supervisor.until(`${name}`, kubectl, 'wait', '--for=condition=Ready', `node/${name}`, '--timeout=1s');
  await supervisor.until('the default service account', kubectl, 'get', 'serviceaccount', 'default');
  serve();
}

try {
  await boot();
  writeFileSync(layout.ready, '');
} catch (error) {
  writeFileSync(layout.failed, error instanceof Error ? error.message : String(error));
  throw error;
}
