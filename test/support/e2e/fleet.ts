import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KubePoolStatus } from '../../../controller/cluster/pool_status.ts';
import type { Pod } from '../../../controller/kube/objects.ts';
import { ensureCertificateAuthority } from '../../../simulators/ca.ts';
import { AzureControl } from '../../../simulators/client.ts';
import { until } from '../calls_worker.ts';
import { assertTranscript, type CallPlan, ClusterCall, hasSummary } from './calls.ts';
import type { Machines } from './chaos.ts';
import { Kubectl, type PortForward } from './kubectl.ts';
import {
  AZURE_HOST,
  AZURE_PORTS,
  azure,
  type Images,
  KEYS,
  namespace,
  redis,
  STORES,
  SYSTEM_NODE,
  secret,
} from './parts.ts';
import { type AzureEnvironment, poolDocument, poolSecrets } from './pools.ts';

export interface ClusterAccess extends AsyncDisposable {
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly images: Images;
  readonly machines: Machines | undefined;
  /** The cluster is not ours alone: what was installed is taken away again. */
  readonly isShared: boolean;
}

/** The cluster gives no access to its machines: a story that needs it cannot be told there. */
export class NoMachines extends Error {}

export interface PoolRow {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly generation: number };
  readonly spec: { readonly replicas?: number };
  readonly status?: KubePoolStatus;
}

const root = fileURLToPath(new URL('../../..', import.meta.url));
const EDGE_HOST = 'rtvoice-edge.rtvoice.svc.cluster.local';
const READY_MS = 120_000;
const ARCHIVE_MS = 60_000;

/** rtvoice in a real cluster as its users install it, with Redis, a simulated Azure and the edge; stories make pools in it. */
export class ClusterFleet implements AsyncDisposable {
  readonly kubectl: Kubectl;
  readonly access: ClusterAccess;
  readonly #dir: string;
  #environment: AzureEnvironment = { env: {}, files: { authority: '', federatedToken: '' } };
  #forward: PortForward | undefined;
  #control: AzureControl | undefined;

  private constructor(access: ClusterAccess, dir: string) {
    this.access = access;
    this.kubectl = new Kubectl({ kubeconfig: access.kubeconfig, program: access.kubectl });
    this.#dir = dir;
  }

  static async start(access: ClusterAccess): Promise<ClusterFleet> {
    const fleet = new ClusterFleet(access, await mkdtemp(join(tmpdir(), 'rtvoice-e2e-')));
    try {
      await fleet.#install();
    } catch (error) {
      const state = await fleet.describe().catch(() => '');
      await fleet[Symbol.asyncDispose]();
      throw new Error(`the fleet did not start: ${error instanceof Error ? error.message : String(error)}\n${state}`, {
        cause: error,
      });
    }
    return fleet;
  }

  get machines(): Machines {
    if (!this.access.machines) throw new NoMachines('this cluster gives no access to its machines');
    return this.access.machines;
  }

  azure = (): AzureControl => {
    if (!this.#control) throw new Error('the simulated Azure is not reached yet');
    return this.#control;
  };

  ringUrl(ns: string, pool: string): string {
    return `https://${EDGE_HOST}/p/${ns}/${pool}/events`;
  }

  /** Makes the pool with all that its namespace needs; resolves when its workers admit calls. */
  async addPool(ns: string, name: string, spec: Record<string, unknown> = {}): Promise<void> {
    await this.kubectl.apply([namespace(ns), ...poolSecrets(ns, this.#environment), poolDocument(ns, name, spec)]);
    await this.untilPool(ns, name, 'is ready', (status) => status.phase === 'Ready');
  }

  applyPool(ns: string, name: string, spec: Record<string, unknown>): Promise<string> {
    return this.kubectl.apply([poolDocument(ns, name, spec)]);
  }

  pool(ns: string, name: string): Promise<PoolRow | undefined> {
    return this.kubectl.find<PoolRow>('vwp', name, ns);
  }

  /** Resolves with the status once it is as asked for, and tells how it stood when it never was. */
  async untilPool(
    ns: string,
    name: string,
    what: string,
    holds: (status: KubePoolStatus, pool: PoolRow) => boolean,
    limitMs = READY_MS,
  ): Promise<KubePoolStatus> {
    let last: PoolRow | undefined;
    try {
      await until(
        async () => {
          last = await this.pool(ns, name).catch(() => undefined);
          const { status } = last ?? {};
          return (
            status?.observedGeneration === last?.metadata.generation &&
            status !== undefined &&
            last !== undefined &&
            holds(status, last)
          );
        },
        `pool ${ns}/${name} ${what}`,
        limitMs,
      );
    } catch (error) {
      throw new Error(`${JSON.stringify(last?.status)}\n${await this.describe()}`, { cause: error });
    }
    if (!last?.status) throw new Error('unreachable');
    return last.status;
  }

  workers(ns: string, pool: string): Promise<Pod[]> {
    return this.kubectl.list<Pod>('pod', ns, `rtvoice.dev/pool=${pool}`);
  }

  place(
    ns: string,
    pool: string,
    plan: Omit<CallPlan, 'ringUrl'>,
    count = 1,
    ringUrl = this.ringUrl(ns, pool),
  ): Promise<ClusterCall[]> {
    return Promise.all(Array.from({ length: count }, () => ClusterCall.place(this.azure, { ringUrl, ...plan })));
  }

  /** Resolves when each of the calls has had that many answers. */
  async untilAnswered(calls: readonly ClusterCall[], turns: number, limitMs = 60_000): Promise<void> {
    for (const call of calls) {
      try {
        await until(async () => (await call.answered()) >= turns, `call ${call.id} has ${turns} answers`, limitMs);
      } catch (error) {
        throw new Error(`${(error as Error).message}: ${JSON.stringify(await call.record())}`, { cause: error });
      }
    }
  }

  /** The transcript of the call, once its end is archived, is whole. */
  async assertArchived(call: ClusterCall, lost = 0): Promise<void> {
    await until(async () => hasSummary(await call.documents()), `call ${call.id} is archived`, ARCHIVE_MS);
    assertTranscript(await call.documents(), call.plan, lost);
  }

  /** The connection to the simulated Azure goes through the API server: after that was away it is made anew. */
  async reconnect(): Promise<void> {
    await this.#forward?.[Symbol.asyncDispose]();
    this.#forward = await this.kubectl.portForward(STORES, 'service/azure', AZURE_PORTS.control);
    this.#control = new AzureControl({ url: this.#forward.url, token: KEYS.control });
    await until(
      () =>
        this.azure()
          .status()
          .then(
            () => true,
            () => false,
          ),
      'the simulated Azure answers',
      READY_MS,
    );
  }

  /** What stands in the cluster and what it logged: for a story that failed. */
  async describe(ns = 'rtvoice'): Promise<string> {
    const commands = [
      ['get', 'vwp,pods,nodes', '-A', '-o', 'wide'],
      ['get', 'events', '-A', '--sort-by=.lastTimestamp'],
      ['logs', '-n', 'rtvoice', '-l', 'app.kubernetes.io/component=controller', '--tail=80'],
      ['logs', '-n', ns, '-l', 'rtvoice.dev/pool', '--tail=60', '--prefix'],
    ];
    const texts = await Promise.all(
      commands.map(async (args) => {
        const { out, err } = await this.kubectl.attempt(args);
        return `$ kubectl ${args.join(' ')}\n${out.slice(-12_000)}${err.slice(-1_000)}`;
      }),
    );
    return texts.join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#forward?.[Symbol.asyncDispose]();
    if (this.access.isShared) await this.#uninstall();
    await this.access[Symbol.asyncDispose]();
    await rm(this.#dir, { recursive: true, force: true });
  }

  /** PEM of the certificate that the edge shows to a new caller, as one of its Pods sees it. */
  async edgeCertificate(): Promise<string> {
    const probe = `echo | openssl s_client -connect ${EDGE_HOST}:443 -servername ${EDGE_HOST} 2>/dev/null | openssl x509`;
    return this.kubectl.run(['exec', '-n', STORES, 'deployment/azure', '--', '/bin/sh', '-c', probe]);
  }

  /** PEM of a certificate for those hosts by the authority that all parts trust. */
  async certificate(hosts: string[]): Promise<{ cert: string; key: string }> {
    return (await ensureCertificateAuthority(join(this.#dir, 'ca'))).server(hosts);
  }

  /** A new certificate of the same authority in the Secret: the kubelet and the edge do the rest. */
  async renewEdgeCertificate(): Promise<void> {
    const renewed = `renewed-${randomBytes(3).toString('hex')}.test`;
    const { cert, key } = await this.certificate([EDGE_HOST, AZURE_HOST, renewed]);
    await this.kubectl.apply([secret('rtvoice', 'rtvoice-edge-certificate', { 'tls.crt': cert, 'tls.key': key })]);
  }

  /** Both replicas show it: several callers in a row, since each may reach another one. */
  async untilEdgeCertificate(holds: (pem: string) => boolean): Promise<void> {
    let inRow = 0;
    await until(
      async () => {
        inRow = holds(await this.edgeCertificate()) ? inRow + 1 : 0;
        return inRow >= 8;
      },
      'the edge shows its new certificate',
      150_000,
    );
  }

  async #applyFiles(name: string, files: readonly string[]): Promise<void> {
    const entries = await Promise.all(
      files.map(async (file) => [file, await readFile(join(root, 'deploy/edge', file), 'utf8')] as const),
    );
    const metadata = { name, namespace: 'rtvoice' };
    await this.kubectl.apply([{ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: Object.fromEntries(entries) }]);
  }

  /** Pools first, while their controller can still drain them. */
  async #uninstall(): Promise<void> {
    const wait = { limitMs: 190_000 };
    await this.kubectl.attempt(['delete', 'vwp', '--all', '-A', '--timeout=180s'], wait);
    const { out } = await this.kubectl.attempt(['get', 'ns', '-o', 'name']);
    const ours = out.split('\n').filter((name) => /^namespace\/(story-|other-|stores$|rtvoice$)/.test(name));
    await this.kubectl.attempt(['delete', ...ours, '--timeout=180s'], wait);
    await this.kubectl.attempt(['delete', '-f', join(root, 'crds'), '-f', join(root, 'deploy/controller.yaml')], wait);
  }

  async #install(): Promise<void> {
    const { images } = this.access;
    const authority = await ensureCertificateAuthority(join(this.#dir, 'ca'));
    const [key, cert, edge] = await Promise.all([
      readFile(join(this.#dir, 'ca', 'ca.key'), 'utf8'),
      readFile(authority.caFile, 'utf8'),
      authority.server([EDGE_HOST, AZURE_HOST]),
    ]);
    const [node] = await this.kubectl
      .json<{ items: { metadata: { name: string } }[] }>([
        'get',
        'nodes',
        '-l',
        '!node-role.kubernetes.io/control-plane',
      ])
      .then(({ items }) => items);
    const [label] = Object.entries(SYSTEM_NODE).map(([name, value]) => `${name}=${value}`);
    await this.kubectl.run(['label', 'node', node?.metadata.name ?? '', label ?? '', '--overwrite']);
    await this.kubectl.run(['apply', '--server-side', '-f', join(root, 'crds')]);
    // Before the controller, which reads them once, at its start.
    await this.kubectl.apply([
      namespace('rtvoice'),
      secret('rtvoice', 'rtvoice-controller', {
        RTVOICE_PUBLIC_URL: `https://${EDGE_HOST}`,
        RTVOICE_CONTROLLER_TOKEN: KEYS.controllerApi,
        RTVOICE_LOG_LEVEL: 'debug',
      }),
      secret('rtvoice', 'rtvoice-edge-certificate', { 'tls.crt': edge.cert, 'tls.key': edge.key }),
      namespace(STORES),
      ...redis(images),
      ...azure(images, { key, cert }),
    ]);
    const controller = await readFile(join(root, 'deploy/controller.yaml'), 'utf8');
    await this.kubectl.apply(controller.replaceAll('rtvoice:latest', images.rtvoice));
    await this.#applyFiles('rtvoice-edge', ['haproxy.cfg', 'renew.sh']);
    const edgeText = await readFile(join(root, 'deploy/edge/edge.yaml'), 'utf8');
    await this.kubectl.apply(edgeText.replaceAll('rtvoice-edge:latest', images.tools));
    for (const [ns, name] of [
      [STORES, 'redis'],
      [STORES, 'azure'],
      ['rtvoice', 'rtvoice-controller'],
      ['rtvoice', 'rtvoice-edge'],
    ] as const) {
      await this.kubectl.run(['rollout', 'status', '-n', ns, `deployment/${name}`, '--timeout=120s'], {
        limitMs: 130_000,
      });
    }
    await this.reconnect();
    this.#environment = await this.azure().environment();
  }
}

/** A name that no other story has. */
export function unique(prefix: string): string {
  return `${prefix}-${randomBytes(3).toString('hex')}`;
}
