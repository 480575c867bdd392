import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FakeFleet } from '../../bench/controller/fake_fleet.ts';
import { type PoolRef, poolTag } from '../../contract/ids.ts';
import { LABELS } from '../../contract/labels.ts';
import { packageFile } from '../../contract/package_files.ts';
import type { KubePoolStatus } from '../../controller/cluster/pool_status.ts';
import { KubeClient } from '../../controller/kube/client.ts';
import { kubeEndpoint } from '../../controller/kube/credentials.ts';
import { Informer } from '../../controller/kube/informer.ts';
import { createKubeMetrics } from '../../controller/kube/metrics.ts';
import { PODS } from '../../controller/kube/resources.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { systemRandom } from '../../platform/random.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../../state/leases/lease_table.ts';
import { RedisClient } from '../../state/redis/client.ts';
import { ApiServer } from '../../tools/cluster/api_server.ts';
import { binary } from '../../tools/cluster/paths.ts';
import { until } from './calls_worker.ts';
import { Kubectl } from './e2e/kubectl.ts';
import { startRedis, type TestRedis } from './redis.ts';

export const ACCOUNT = 'system:serviceaccount:rtvoice:rtvoice-controller';
const SLOTS = 10;
/** What each request asked for; without bodies. */
const AUDIT_POLICY =
  'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{ level: Metadata }]\n';

export interface AuditEntry {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string; readonly apiGroup?: string };
  readonly responseStatus?: { readonly code: number };
}

/** The controller as a process under its own service account's rights, on a real API server; kubelets and workers are stood in for. */
export class ApiController implements AsyncDisposable {
  readonly api: ApiServer;
  readonly redis: TestRedis;
  readonly kubectl: Kubectl;
  readonly fleet: FakeFleet;
  readonly folder: string;
  readonly #closers: (() => Promise<unknown> | unknown)[];
  /** Controllers in the order in which they were started. */
  readonly children: ChildProcess[] = [];

  private constructor(parts: {
    api: ApiServer;
    redis: TestRedis;
    fleet: FakeFleet;
    folder: string;
    closers: (() => Promise<unknown> | unknown)[];
  }) {
    this.api = parts.api;
    this.redis = parts.redis;
    this.fleet = parts.fleet;
    this.folder = parts.folder;
    this.#closers = parts.closers;
    this.kubectl = new Kubectl({ kubeconfig: parts.api.kubeconfig(), program: binary('kubectl') });
  }

  /** With the resource, the rights of deploy/controller.yaml, a namespace `calls` with its Secret, and no controller yet. */
  static async start(): Promise<ApiController> {
    const folder = mkdtempSync(join(tmpdir(), 'rtvoice-controller-api-'));
    writeFileSync(join(folder, 'audit.yaml'), AUDIT_POLICY);
    const flags = [
      `--audit-policy-file=${join(folder, 'audit.yaml')}`,
      `--audit-log-path=${join(folder, 'audit.log')}`,
    ];
    const users = [{ name: ACCOUNT, groups: ['system:serviceaccounts', 'system:authenticated'] }];
    const api = await ApiServer.start({ folder: join(folder, 'api'), users, flags });
    const redis = await startRedis();
    const { fleet, closers } = await standIn(api, redis);
    const test = new ApiController({ api, redis, fleet, folder, closers });
    const { kubectl } = test;
    await kubectl.run(['apply', '--server-side', '-f', packageFile('crds/voiceworkerpool.yaml')]);
    await kubectl.run(['wait', '--for=condition=Established', '--timeout=30s', 'crd/voiceworkerpools.rtvoice.dev']);
    await kubectl.run(['apply', '--server-side', '-f', packageFile('deploy/controller.yaml')]);
    await kubectl.run(['create', 'namespace', 'calls']);
    await test.makeSecret();
    await test.#makeNode();
    return test;
  }

  /** No kubelet reports it. */
  async #makeNode(): Promise<void> {
    await this.kubectl.apply([{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } }]);
    const status = { conditions: [{ type: 'Ready', status: 'True' }] };
    const patch = JSON.stringify({ status });
    await this.kubectl.run(['patch', 'node', 'node-1', '--subresource=status', '--type=merge', '-p', patch]);
  }

  async makeSecret(): Promise<void> {
    await this.kubectl.apply([
      {
        ...{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'rtvoice', namespace: 'calls' } },
        stringData: { RTVOICE_REDIS_URL: this.redis.url, RTVOICE_INTERNAL_KEYS: 'internal-key-of-the-tests' },
      },
    ]);
  }

  /** Starts one more controller; gives its process. `kubeconfig`: another way to the API server than the direct one. */
  controller(name: string, kubeconfig = this.api.kubeconfig(ACCOUNT)): ChildProcess {
    const log = openSync(join(this.folder, `${name}.log`), 'a');
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('../../controller/cluster/main.ts', import.meta.url))],
      {
        stdio: ['ignore', log, log],
        env: {
          ...process.env,
          RTVOICE_KUBECONFIG: kubeconfig,
          ...{ RTVOICE_POD_NAME: name, RTVOICE_POD_NAMESPACE: 'rtvoice', RTVOICE_CONTROLLER_PORT: '0' },
          ...{
            RTVOICE_WORKER_IMAGE: 'image:1',
            RTVOICE_PUBLIC_URL: 'https://calls.example',
            RTVOICE_LOG_LEVEL: 'debug',
          },
        },
      },
    );
    closeSync(log);
    this.children.push(child);
    return child;
  }

  log(name: string): string {
    const file = join(this.folder, `${name}.log`);
    return existsSync(file) ? readFileSync(file, 'utf8').slice(-8_000) : '';
  }

  async applyPool(name: string, spec: Record<string, unknown> = {}): Promise<void> {
    const document = {
      ...{ apiVersion: 'rtvoice.dev/v1alpha1', kind: 'VoiceWorkerPool', metadata: { name, namespace: 'calls' } },
      spec: {
        environment: 'test',
        slotsPerWorker: SLOTS,
        scaling: { source: 'Heartbeat', intervalSeconds: 1, mode: 'External' },
        update: { canary: { workers: 0 } },
        // No scheduler runs: each Pod says itself where it is.
        worker: { podTemplate: { spec: { nodeName: 'node-1' } } },
        ...spec,
      },
    };
    await this.kubectl.apply([document]);
  }

  async status(name: string): Promise<KubePoolStatus | undefined> {
    return (await this.kubectl.find<{ status?: KubePoolStatus }>('vwp', name, 'calls'))?.status;
  }

  async until(
    name: string,
    what: string,
    holds: (status: KubePoolStatus) => boolean,
    limitMs = 40_000,
  ): Promise<KubePoolStatus> {
    let last: KubePoolStatus | undefined;
    const seen = async () => {
      last = await this.status(name);
      return last !== undefined && holds(last);
    };
    await until(seen, `pool ${name} ${what}`, limitMs).catch((error: unknown) => {
      throw new Error(`${JSON.stringify(last)}\n${this.children.length > 0 ? this.log('c1') : ''}`, { cause: error });
    });
    if (!last) throw new Error('unreachable');
    return last;
  }

  /** Every request of the controllers until now. */
  audit(): AuditEntry[] {
    return readFileSync(join(this.folder, 'audit.log'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditEntry)
      .filter(({ user }) => user.username === ACCOUNT);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.children.map(endChild));
    for (const close of this.#closers) await close();
    await this.api[Symbol.asyncDispose]();
    await this.redis[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function standIn(api: ApiServer, redis: TestRedis) {
  const registry = createRegistry({ processMetrics: false });
  const metrics = createKubeMetrics(registry);
  const client = new KubeClient({
    endpoint: await kubeEndpoint('/nowhere', api.kubeconfig()),
    clock: systemClock,
    log: silentLog,
    metrics,
  });
  const shared = { clock: systemClock, random: systemRandom, log: silentLog, metrics };
  const pods = new Informer({ ...shared, client, resource: PODS, labelSelector: LABELS.pool });
  const store = new RedisClient({ url: redis.url, role: 'patient', clock: systemClock, log: silentLog, registry });
  const tables = new Map<string, RedisLeaseTable>();
  const leasesOf = (pool: PoolRef) => {
    const table =
      tables.get(poolTag(pool)) ??
      new RedisLeaseTable({ client: store, keys: new RedisKeyManager({ environment: 'test' }), pool });
    tables.set(poolTag(pool), table);
    return table;
  };
  const fleet = new FakeFleet({ client, pods, leasesOf, slots: SLOTS, clock: systemClock });
  pods.start();
  await pods.synced();
  return { fleet, closers: [() => fleet.close(), () => pods.stop(), () => client.close(), () => store.close()] };
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGCONT');
  child.kill('SIGKILL');
  await exited;
}
