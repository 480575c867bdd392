import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { freePort } from '../../platform/free_port.ts';
import { missingBinaries } from './binaries.ts';
import { binary } from './paths.ts';
import { createPki, type Pki, type User } from './pki.ts';
import { endProcess, hasEnded, spawnServer } from './processes.ts';

export interface ApiServerOptions {
  /** For keys, data and logs. It must be new or empty, and goes with the server unless `keepFolder`. */
  readonly folder: string;
  readonly keepFolder?: boolean;
  /** Besides `admin` (system:masters). */
  readonly users?: readonly User[];
  /** Garbage collection, budgets, endpoints. */
  readonly controllerManager?: boolean;
  readonly scheduler?: boolean;
  /** Further flags of the API server, such as `--max-requests-inflight=4000`. */
  readonly flags?: readonly string[];
}

const START_LIMIT_MS = 60_000;
const START_TRIES = 3;
/** In the order they end: a client before what it talks to. */
const COMPONENTS = ['kube-scheduler', 'kube-controller-manager', 'kube-apiserver', 'etcd'] as const;
type Component = (typeof COMPONENTS)[number];
const ADMIN: User = { name: 'admin', groups: ['system:masters'] };
const MANAGER: User = { name: 'system:kube-controller-manager', groups: [] };
const SCHEDULER: User = { name: 'system:kube-scheduler', groups: [] };

/** etcd and the API server alone, on loopback, without root: a real cluster without nodes. Ready in two to three seconds. */
export class ApiServer implements AsyncDisposable {
  readonly url: string;
  readonly pki: Pki;
  readonly #options: ApiServerOptions;
  readonly #ports: { etcd: number; peer: number; api: number };
  readonly #children = new Map<Component, ChildProcess>();

  private constructor(options: ApiServerOptions, pki: Pki, ports: { etcd: number; peer: number; api: number }) {
    this.#options = options;
    this.pki = pki;
    this.#ports = ports;
    this.url = `https://127.0.0.1:${ports.api}`;
  }

  /** Needs the programs of `buildBinaries`; resolves when clients are served and the namespace `default` is there. */
  static async start(options: ApiServerOptions): Promise<ApiServer> {
    const missing = missingBinaries(['etcd', 'kube-apiserver']);
    if (missing.length > 0) throw new Error(`${missing.join(', ')} not built yet; run: npm run cluster -- build`);
    mkdirSync(options.folder, { recursive: true });
    if (readdirSync(options.folder).length > 0) throw new Error(`${options.folder} is not empty; name a new folder`);
    const users = [ADMIN, MANAGER, SCHEDULER, ...(options.users ?? [])];
    const pki = createPki(join(options.folder, 'pki'), { users, apiNames: ['127.0.0.1', 'localhost'], nodes: [] });
    for (let tries = 1; ; tries++) {
      const [etcd = 0, peer = 0, api = 0] = await Promise.all([freePort(), freePort(), freePort()]);
      const server = new ApiServer(options, pki, { etcd, peer, api });
      try {
        await server.startServers();
        return server;
      } catch (error) {
        const logs = server.logs();
        await server.stopServers();
        // A port that was free a moment ago can be another test's now.
        if (tries < START_TRIES && logs.includes('address already in use')) continue;
        await server[Symbol.asyncDispose]();
        throw new Error(`the API server did not start:\n${logs}`, { cause: error });
      }
    }
  }

  kubeconfig(user = 'admin'): string {
    return this.pki.kubeconfig(user, this.url);
  }

  /** Starts what does not run, with the data of before; resolves when it is ready. */
  async startServers(): Promise<void> {
    const { etcd, peer } = this.#ports;
    this.#start('etcd', [
      ...['--data-dir', join(this.#options.folder, 'etcd'), '--unsafe-no-fsync', '--log-level', 'warn'],
      ...['--listen-client-urls', `http://127.0.0.1:${etcd}`, '--advertise-client-urls', `http://127.0.0.1:${etcd}`],
      ...['--listen-peer-urls', `http://127.0.0.1:${peer}`],
    ]);
    this.#start('kube-apiserver', this.#apiFlags());
    await this.#ready();
    // They give up when they do not find it for a while.
    if (this.#options.controllerManager) this.#start('kube-controller-manager', managerFlags(this));
    if (this.#options.scheduler) this.#start('kube-scheduler', schedulerFlags(this));
  }

  /** etcd and the API server end at once, as in a failure. */
  async stopServers(): Promise<void> {
    await Promise.all((['kube-apiserver', 'etcd'] as const).map((name) => this.#end(name)));
  }

  /** The last lines of every component. */
  logs(): string {
    return COMPONENTS.map((name) => ({ name, file: join(this.#options.folder, `${name}.log`) }))
      .filter(({ file }) => existsSync(file))
      .map(({ name, file }) => `== ${name}\n${readFileSync(file, 'utf8').slice(-3_000)}`)
      .join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(COMPONENTS.map((name) => this.#end(name)));
    if (!this.#options.keepFolder) rmSync(this.#options.folder, { recursive: true, force: true });
  }

  #apiFlags(): string[] {
    const { etcd, api } = this.#ports;
    const at = (name: string) => join(this.pki.folder, name);
    return [
      ...[`--etcd-servers=http://127.0.0.1:${etcd}`, '--bind-address=127.0.0.1', `--secure-port=${api}`],
      // Neither may be loopback where endpoints are reconciled; here nobody reads them.
      '--endpoint-reconciler-type=none',
      ...[`--tls-cert-file=${at('apiserver.crt')}`, `--tls-private-key-file=${at('apiserver.key')}`],
      ...[`--token-auth-file=${at('tokens.csv')}`, '--authorization-mode=RBAC'],
      '--service-account-issuer=https://kubernetes.default.svc',
      ...[`--service-account-key-file=${at('sa.pub')}`, `--service-account-signing-key-file=${at('sa.key')}`],
      ...[
        '--service-cluster-ip-range=10.96.0.0/16',
        '--allow-privileged=true',
        '--disable-admission-plugins=ServiceAccount',
      ],
      ...(this.#options.flags ?? []),
    ];
  }

  #start(name: Component, flags: readonly string[]): void {
    const before = this.#children.get(name);
    if (before && !hasEnded(before)) return;
    this.#children.set(name, spawnServer(binary(name), flags, join(this.#options.folder, `${name}.log`)));
  }

  async #end(name: Component): Promise<void> {
    const child = this.#children.get(name);
    if (child) await endProcess(child);
  }

  async #ready(): Promise<void> {
    const agent = new Agent({ connect: { ca: readFileSync(this.pki.caFile, 'utf8') } });
    const headers = { authorization: `Bearer ${this.pki.token('admin')}` };
    const answers = (path: string) =>
      request(`${this.url}${path}`, { dispatcher: agent, headers }).then(
        async ({ statusCode, body }) => {
          await body.dump();
          return statusCode === 200;
        },
        () => false,
      );
    const endMs = performance.now() + START_LIMIT_MS;
    try {
      // The namespace comes a moment after the server says that it is ready.
      while (!((await answers('/readyz')) && (await answers('/api/v1/namespaces/default')))) {
        for (const name of ['etcd', 'kube-apiserver'] as const) {
          const child = this.#children.get(name);
          if (child && hasEnded(child)) throw new Error(`${name} has ended`);
        }
        if (performance.now() > endMs) throw new Error(`not ready within ${START_LIMIT_MS} ms`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      await agent.destroy();
    }
  }
}

function managerFlags(server: ApiServer): string[] {
  const { folder, caFile } = server.pki;
  return [
    `--kubeconfig=${server.kubeconfig(MANAGER.name)}`,
    ...[
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      '--secure-port=0',
      '--use-service-account-credentials=true',
    ],
    ...[`--service-account-private-key-file=${join(folder, 'sa.key')}`, `--root-ca-file=${caFile}`],
    ...['--kube-api-qps=500', '--kube-api-burst=1000'],
  ];
}

function schedulerFlags(server: ApiServer): string[] {
  return [`--kubeconfig=${server.kubeconfig(SCHEDULER.name)}`, '--leader-elect=false', '--secure-port=0'];
}
