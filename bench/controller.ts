import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { PoolRef } from '../contract/ids.ts';
import { poolTag } from '../contract/ids.ts';
import { LABELS } from '../contract/labels.ts';
import { KubeClient } from '../controller/kube/client.ts';
import { podEndpoint } from '../controller/kube/credentials.ts';
import { Informer } from '../controller/kube/informer.ts';
import { createKubeMetrics } from '../controller/kube/metrics.ts';
import type { KubeObject, Node } from '../controller/kube/objects.ts';
import { CRDS, NODES, PODS, POOLS, type Resource, SECRETS } from '../controller/kube/resources.ts';
import { systemClock } from '../platform/clock.ts';
import { freePort } from '../platform/free_port.ts';
import { silentLog } from '../platform/log.ts';
import { createRegistry } from '../platform/metrics.ts';
import { systemRandom } from '../platform/random.ts';
import { RedisKeyManager } from '../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../state/leases/lease_table.ts';
import { startRedis } from '../test/support/redis.ts';
import { ApiServer } from '../tools/cluster/api_server.ts';
import { FakeFleet } from './controller/fake_fleet.ts';
import { FakeTelemetry } from './controller/fake_telemetry.ts';
import { cpuPercent, residentBytes } from './controller/usage.ts';
import { flood, openClient } from './placement_parts.ts';

export interface ControllerResult {
  source: Source;
  pools: number;
  workers: number;
  /** From the start of the controller until every pool was ready. */
  settledSeconds: number;
  idleCpuPercent: number;
  churnCpuPercent: number;
  rssMiB: number;
  thresholdToCreateP50Ms: number;
  thresholdToCreateP99Ms: number;
  samples: number;
}

type Source = 'Heartbeat' | 'Metrics';

const WORKERS_PER_POOL = 10;
const SLOTS = 20;
const NODE_COUNT = 100;
const NAMESPACES = 10;
const IDLE_SECONDS = 60;
const CHURN_SECONDS = 30;
const SAMPLES = 100;
const SETTLE_LIMIT_MS = 240_000;
const TOKEN = 'token-of-the-benchmark';
const KEY = 'internal-key-of-the-benchmark';
const NAMESPACE: Resource<KubeObject> = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};
const MANAGER = { fieldManager: 'bench', force: true };

/** One controller with that many pools of ten workers, on a real API server; kubelets and workers are stood in for. */
export async function runController(options: {
  pools: number;
  source: Source;
  json: boolean;
}): Promise<ControllerResult> {
  const { source } = options;
  build();
  const folder = mkdtempSync(join(tmpdir(), 'rtvoice-bench-'));
  const redis = await startRedis();
  const flags = ['--max-requests-inflight=2000', '--max-mutating-requests-inflight=1000'];
  const server = await ApiServer.start({ folder: join(folder, 'api'), flags });
  const store = openClient(redis.url);
  const client = bareClient(folder, server);
  const pods = new Informer({
    ...{ client, resource: PODS, labelSelector: LABELS.pool, clock: systemClock, random: systemRandom },
    ...{ log: silentLog, metrics: createKubeMetrics(createRegistry({ processMetrics: false })) },
  });
  const tables = new Map<string, RedisLeaseTable>();
  const leasesOf = (pool: PoolRef) => {
    const known = tables.get(poolTag(pool));
    const table =
      known ?? new RedisLeaseTable({ client: store, keys: new RedisKeyManager({ environment: 'test' }), pool });
    tables.set(poolTag(pool), table);
    return table;
  };
  const telemetry = source === 'Metrics' ? new FakeTelemetry() : undefined;
  const told = telemetry ? { telemetry } : {};
  const fleet = new FakeFleet({ client, pods, leasesOf, slots: SLOTS, clock: systemClock, ...told });
  let controller: ChildProcess | undefined;
  try {
    const refs = await makePools(client, options.pools, redis.url, source);
    pods.start();
    await pods.synced();
    const startMs = performance.now();
    const port = await freePort();
    controller = startController(folder, server, port);
    const wanted = options.pools * WORKERS_PER_POOL;
    await untilReady(client, refs.length, () => fleet.size >= wanted);
    const settledSeconds = (performance.now() - startMs) / 1000;
    const result = await measure({ controller, fleet, refs, port });
    const all: ControllerResult = {
      source,
      pools: options.pools,
      workers: fleet.size,
      settledSeconds: Math.round(settledSeconds),
      ...result,
    };
    process.stdout.write(options.json ? `${JSON.stringify(all)}\n` : table(all));
    return all;
  } finally {
    if (controller?.exitCode === null) {
      controller.kill('SIGKILL');
      await once(controller, 'exit');
    }
    fleet.close();
    telemetry?.close();
    await pods.stop();
    await client.close();
    await store.close();
    await server[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

function build(): void {
  const script = fileURLToPath(new URL('../tools/build.ts', import.meta.url));
  const { status } = spawnSync(process.execPath, ['--max-semi-space-size=4', script], { stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the product could not be built');
}

type Measured = Omit<ControllerResult, 'source' | 'pools' | 'workers' | 'settledSeconds'>;

async function measure(parts: {
  controller: ChildProcess;
  fleet: FakeFleet;
  refs: readonly PoolRef[];
  port: number;
}): Promise<Measured> {
  const { controller, fleet, refs, port } = parts;
  const pid = controller.pid ?? 0;
  // What the start has queued must be done.
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  const idleCpuPercent = await cpuPercent(pid, IDLE_SECONDS);
  const churned = cpuPercent(pid, CHURN_SECONDS);
  const delays = thresholds(fleet, refs, port);
  const churnCpuPercent = await churned;
  const sorted = (await delays).sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
  return {
    idleCpuPercent: round(idleCpuPercent),
    churnCpuPercent: round(churnCpuPercent),
    rssMiB: Math.round(residentBytes(pid) / 2 ** 20),
    thresholdToCreateP50Ms: at(0.5),
    thresholdToCreateP99Ms: at(0.99),
    samples: sorted.length,
  };
}

/** Pools get more calls than their workers may carry; from the decision on the second breach to the first new Pod, by one machine's clock. */
async function thresholds(fleet: FakeFleet, refs: readonly PoolRef[], port: number): Promise<number[]> {
  const chosen = refs.filter((_, at) => at % Math.max(1, Math.floor(refs.length / SAMPLES)) === 0).slice(0, SAMPLES);
  for (const ref of chosen) fleet.setCalls(ref, SLOTS - 1);
  const endMs = performance.now() + 60_000;
  const found = new Map<string, number>();
  while (found.size < chosen.length && performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    for (const ref of chosen) {
      const [created] = (fleet.created.get(poolTag(ref)) ?? []).slice(WORKERS_PER_POOL);
      if (created === undefined || found.has(poolTag(ref))) continue;
      const decided = await decisionTime(port, ref);
      if (decided !== undefined) found.set(poolTag(ref), created - decided);
    }
  }
  return [...found.values()];
}

interface Decisions {
  decisions: { kind: string; verdict?: string; atMs: number }[];
}

async function decisionTime(port: number, { namespace, pool }: PoolRef): Promise<number | undefined> {
  const url = `http://127.0.0.1:${port}/explain/scale?namespace=${namespace}&pool=${pool}`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
  const { decisions } = (await response.json()) as Decisions;
  return decisions.find(({ verdict }) => verdict === 'ScaledUp')?.atMs;
}

function startController(folder: string, server: ApiServer, port: number): ChildProcess {
  const log = openSync(join(folder, 'controller.log'), 'w');
  // As it ships: a controller that runs from its sources holds the compiler as well.
  const script = fileURLToPath(new URL('../dist/controller/cluster/main.js', import.meta.url));
  const { hostname, port: apiPort } = new URL(server.url);
  return spawn(process.execPath, [script], {
    stdio: ['ignore', log, log],
    env: {
      PATH: process.env.PATH,
      ...{ KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: apiPort },
      RTVOICE_SERVICE_ACCOUNT_DIR: join(folder, 'account'),
      ...{ RTVOICE_POD_NAME: 'bench', RTVOICE_POD_NAMESPACE: 'default', RTVOICE_CONTROLLER_PORT: String(port) },
      ...{
        RTVOICE_CONTROLLER_TOKEN: TOKEN,
        RTVOICE_WORKER_IMAGE: 'image:1',
        RTVOICE_PUBLIC_URL: 'https://calls.example',
      },
      RTVOICE_LOG_LEVEL: 'warn',
    },
  });
}

/** As a Pod's service account would be mounted. */
function bareClient(folder: string, server: ApiServer): KubeClient {
  const account = join(folder, 'account');
  mkdirSync(account);
  writeFileSync(join(account, 'token'), server.pki.token('admin'));
  cpSync(server.pki.caFile, join(account, 'ca.crt'));
  const { hostname, port } = new URL(server.url);
  const endpoint = podEndpoint(account, { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port });
  const metrics = createKubeMetrics(createRegistry({ processMetrics: false }));
  return new KubeClient({ endpoint, clock: systemClock, log: silentLog, metrics, timeoutMs: 60_000 });
}

async function makePools(client: KubeClient, count: number, redisUrl: string, source: Source): Promise<PoolRef[]> {
  const crd = parse(
    readFileSync(fileURLToPath(new URL('../crds/voiceworkerpool.yaml', import.meta.url)), 'utf8'),
  ) as KubeObject;
  await client.apply(CRDS, crd, MANAGER);
  const text = (value: string) => Buffer.from(value).toString('base64');
  const data = { RTVOICE_REDIS_URL: text(redisUrl), RTVOICE_INTERNAL_KEYS: text(KEY) };
  for (let at = 0; at < NAMESPACES; at++) {
    const namespace = `n${at}`;
    await client.apply(NAMESPACE, { metadata: { name: namespace } }, MANAGER);
    await client.apply(SECRETS, { metadata: { name: 'rtvoice', namespace }, data }, MANAGER);
  }
  const ready = { conditions: [{ type: 'Ready', status: 'True' }] };
  for (let at = 0; at < NODE_COUNT; at++) {
    const node: Node = { metadata: { name: `node-${at}` } };
    await client.apply(NODES, node, MANAGER);
    await client.patch(NODES, { name: `node-${at}` }, { status: ready }, 'merge', { subresource: 'status' });
  }
  const refs = Array.from({ length: count }, (_, at) => ({ namespace: `n${at % NAMESPACES}`, pool: `pool-${at}` }));
  const served = async () => (await client.list(POOLS, { limit: 1 }).catch(() => undefined)) !== undefined;
  while (!(await served())) await new Promise((resolve) => setTimeout(resolve, 200));
  await flood(count, (at) => client.apply(POOLS, poolOf(refs[at] ?? { namespace: '', pool: '' }, at, source), MANAGER));
  return refs;
}

function poolOf({ namespace, pool }: PoolRef, at: number, source: Source): KubeObject {
  const object = {
    metadata: { name: pool, namespace },
    spec: {
      environment: 'test',
      ...{ minWorkers: WORKERS_PER_POOL, maxWorkers: 2 * WORKERS_PER_POOL, slotsPerWorker: SLOTS },
      scaling: { source, intervalSeconds: 5 },
      // No scheduler runs: each Pod says itself where it is.
      worker: { podTemplate: { spec: { nodeName: `node-${at % NODE_COUNT}` } } },
    },
  };
  return object;
}

async function untilReady(client: KubeClient, pools: number, done: () => boolean): Promise<void> {
  const endMs = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    if (done()) {
      const { items } = await client.list(POOLS);
      const ready = items.filter((item) => (item as { status?: { phase?: string } }).status?.phase === 'Ready').length;
      if (ready === pools) return;
    }
    if (performance.now() > endMs) throw new Error(`the pools were not ready within ${SETTLE_LIMIT_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

const round = (value: number): number => Math.round(value * 10) / 10;

function table(result: ControllerResult): string {
  return `${Object.entries(result)
    .map(([name, value]) => `${name.padEnd(24)} ${value}`)
    .join('\n')}\n`;
}
