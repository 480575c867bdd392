import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { removeCgroup } from './cgroups.ts';
import { imageStore } from './image/store.ts';
import { Layout, NETWORK, NODES, nodeUser, USERS } from './layout.ts';
import type { NodeImages } from './nodes.ts';
import { PROGRAM_PATH } from './packages.ts';
import { BINARIES } from './paths.ts';
import { createPki, type Pki, type User } from './pki.ts';
import { endProcess, hasEnded, spawnServer } from './processes.ts';
import { relay } from './relay.ts';

export interface ClusterOptions {
  /** For keys, data, logs and sockets; a short path, since sockets stand in it. It must be new or empty, and goes with the cluster unless `keepFolder`. */
  readonly folder: string;
  /** OCI archives that both nodes get; the first must be that of `pauseImage`. */
  readonly images: readonly string[];
  /** Besides `admin` (system:masters). */
  readonly users?: readonly User[];
  readonly keepFolder?: boolean;
}

const START_LIMIT_MS = 120_000;
/** Of the path of a Unix socket (107), less the longest below the folder, of the kubelet. */
const MAX_FOLDER_CHARS = 64;
const REMOVE_TRIES = 50;
/** The bash keeps being process 1 and takes in the orphans of others. */
const INIT = '"$@" & sleep infinity & while :; do wait; done';

/** A real Kubernetes of two nodes in namespaces of its own. Ending one process ends all of it; nothing of it can reach this machine's network. */
export class Cluster implements AsyncDisposable {
  readonly layout: Layout;
  /** Of the administrator, for this machine, by a port on loopback. */
  readonly kubeconfig: string;
  readonly pki: Pki;
  /** As `kubeconfig` reaches it. */
  readonly url: string;
  readonly #options: ClusterOptions;
  readonly #outer: ChildProcess;
  readonly #relay: Server;

  private constructor(options: ClusterOptions, layout: Layout, pki: Pki, outer: ChildProcess, way: Way) {
    this.#options = options;
    this.layout = layout;
    this.pki = pki;
    this.#outer = outer;
    this.#relay = way.server;
    this.url = `https://127.0.0.1:${way.port}`;
    this.kubeconfig = this.kubeconfigOf('admin');
  }

  /** Resolves when both nodes are ready and have the images. */
  static async up(options: ClusterOptions): Promise<Cluster> {
    const layout = new Layout(options.folder);
    if (layout.folder.length > MAX_FOLDER_CHARS)
      throw new Error(`the path ${layout.folder} is too long for sockets; at most ${MAX_FOLDER_CHARS} characters`);
    mkdirSync(layout.at('log'), { recursive: true });
    if (readdirSync(layout.folder).length > 1) throw new Error(`${layout.folder} is not empty; name a new folder`);
    const store = await imageStore(options.images, (line) => void process.stderr.write(`${line}\n`));
    writeFileSync(layout.at('images.json'), JSON.stringify({ archives: options.images, store } satisfies NodeImages));
    const way = await openWay(layout.api);
    const pki = writeKeys(layout, options.users ?? []);
    const boot = fileURLToPath(new URL('boot.ts', import.meta.url));
    const namespaces = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];
    const inside = ['bash', '-c', INIT, 'boot', process.execPath, boot, layout.folder];
    const outer = spawnServer('unshare', [...namespaces, ...inside], layout.log('boot'), { PATH: PROGRAM_PATH });
    const cluster = new Cluster(options, layout, pki, outer, way);
    try {
      await cluster.#ready();
    } catch (error) {
      const log = readFileSync(layout.log('boot'), 'utf8').slice(-4_000);
      await cluster[Symbol.asyncDispose]();
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`the cluster did not start: ${why}\n${log}`, { cause: error });
    }
    return cluster;
  }

  /** Process 1 of the cluster, as this machine sees it: for `nsenter`. */
  get init(): number {
    const children = readFileSync(`/proc/${this.#outer.pid}/task/${this.#outer.pid}/children`, 'utf8').trim();
    return Number(children.split(' ')[0]);
  }

  /** Path of a kubeconfig of the user for this machine. */
  kubeconfigOf(user: string): string {
    return this.pki.kubeconfig(user, this.url, this.layout.at(`${user.replaceAll(':', '-')}.kubeconfig`));
  }

  /** Starts a program inside: in its network, as process of its own, with a kubeconfig of the administrator and the programs of the cluster on its PATH. */
  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawn('nsenter', [...enterArguments(this.init), command, ...args], {
      ...options,
      env: { ...insideEnvironment(this.layout), ...options.env },
    });
  }

  /** Standard output of a program inside; rejects with its standard error when it fails. */
  async run(command: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv } = {}): Promise<string> {
    const child = this.spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const text = { out: '', err: '' };
    child.stdout?.on('data', (chunk: Buffer) => {
      text.out += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      text.err += chunk.toString();
    });
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${text.err.trim() || `exit ${code}`}`);
    return text.out;
  }

  node(name: string) {
    const order = async (op: string, target = name) => void (await this.order({ op, name: target }));
    return {
      /** The kubelet ends; containers go on. */
      killKubelet: () => order('kill', `kubelet-${name}`),
      startKubelet: () => order('start', `kubelet-${name}`),
      /** Every process of the node ends at once, containers included. */
      kill: () => order('killNode'),
      /** It comes back with its images, and without anything that ran. */
      start: () => order('startNode'),
    };
  }

  readonly controlPlane = {
    /** API server and etcd end at once; containers, kubelets and what routes between Pods go on. */
    stop: async () => void (await this.order({ op: 'stopControlPlane' })),
    /** With the data of before; resolves when the API server is ready. */
    start: async () => void (await this.order({ op: 'startControlPlane' })),
  };

  /** Does something inside: see boot.ts. */
  async order(order: Record<string, string>): Promise<Record<string, unknown>> {
    const agent = new Agent({ connect: { socketPath: this.layout.control }, headersTimeout: 120_000 });
    try {
      const { statusCode, body } = await request('http://cluster/', {
        dispatcher: agent,
        method: 'POST',
        body: JSON.stringify(order),
      });
      const text = await body.text();
      if (statusCode !== 200) throw new Error(`${order.op}: ${text}`);
      return JSON.parse(text) as Record<string, unknown>;
    } finally {
      await agent.destroy();
    }
  }

  /** Ends all of it: one process for the kernel to kill, then what it cannot take away itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#relay.close();
    await endProcess(this.#outer);
    await retry(`its control group ${this.layout.cgroup}`, () => removeCgroup(this.layout.cgroup));
    if (!this.#options.keepFolder) await retry(this.layout.folder, () => removeFolder(this.layout.folder));
  }

  async #ready(): Promise<void> {
    const endMs = performance.now() + START_LIMIT_MS;
    while (!existsSync(this.layout.ready)) {
      if (hasEnded(this.#outer)) throw new Error('its process has ended');
      if (existsSync(this.layout.failed)) throw new Error(readFileSync(this.layout.failed, 'utf8'));
      if (performance.now() > endMs) throw new Error(`not ready within ${START_LIMIT_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export function enterArguments(init: number): string[] {
  return ['-t', String(init), '--net', '--mount', '--pid', '--'];
}

export function insideEnvironment(layout: Layout): NodeJS.ProcessEnv {
  return { ...process.env, KUBECONFIG: layout.kubeconfig('admin'), PATH: `${BINARIES}:${PROGRAM_PATH}` };
}

function writeKeys(layout: Layout, users: readonly User[]): Pki {
  const all = [...Object.values(USERS), ...NODES.map(({ name }) => nodeUser(name)), ...users];
  const service = '10.96.0.1';
  const names = [
    ...['127.0.0.1', service, NETWORK.api],
    ...['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'],
  ];
  const pki = createPki(layout.at('pki'), { users: all, apiNames: names, nodes: NODES });
  for (const { name } of all)
    pki.kubeconfig(name, `https://${NETWORK.api}:${NETWORK.apiPort}`, layout.kubeconfig(name));
  return pki;
}

interface Way {
  readonly server: Server;
  readonly port: number;
}

/** The cluster's network is not this machine's: the API server comes by a socket in the file system. */
async function openWay(path: string): Promise<Way> {
  const server = relay({ path }).listen(0, '127.0.0.1');
  server.unref();
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, port: address.port };
}

/** Mounts and processes go a moment after the namespaces' last process. */
async function retry(what: string, work: () => boolean): Promise<void> {
  for (let tries = 1; !work(); tries++) {
    if (tries >= REMOVE_TRIES) throw new Error(`the cluster is down, but ${what} could not be removed`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function removeFolder(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}
