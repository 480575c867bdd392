import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readPool } from '../contract/pool.ts';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config.ts';
import { Lifecycle } from '../platform/lifecycle.ts';
import type { Log } from '../platform/log.ts';
import { createRegistry, type Registry } from '../platform/metrics.ts';
import { systemRandom } from '../platform/random.ts';
import { RedisKeyManager } from '../state/keys/key_manager.ts';
import { RedisLeaseTable } from '../state/leases/lease_table.ts';
import { openRedisAccess } from '../state/redis/access.ts';
import { RedisClient } from '../state/redis/client.ts';
import { addressText } from '../state/redis/target.ts';
import { ControllerApi } from './api.ts';
import { commonRoutes, localRoutes } from './api_routes.ts';
import { createKubeMetrics } from './kube/metrics.ts';
import { LocalHost } from './local_host.ts';
import { PoolManager } from './manager.ts';
import { controllerMetrics } from './metrics.ts';
import { Explanations } from './pool/scaling/explanations.ts';
import { LOOP_NAME, Pools } from './pools.ts';
import { lazyCredential } from './redis_tier/credential.ts';
import { RedisTiers } from './redis_tier/tiers.ts';
import { ControllerLock } from './runtime/controller_lock.ts';
import { writeDurably } from './runtime/durable_file.ts';
import { endAll } from './runtime/end_all.ts';
import { FrontProcess } from './runtime/front_process.ts';
import { LocalProcesses } from './runtime/local_processes.ts';
import { passedEnvironment } from './runtime/spawn_detached.ts';
import { StateFolder } from './runtime/state_folder.ts';
import type { CONTROLLER_SETTINGS } from './settings.ts';
import { WorkerCommands } from './worker_commands.ts';

interface Parts {
  readonly folder: StateFolder;
  readonly front: FrontProcess;
  readonly runtime: LocalProcesses;
  readonly registry: Registry;
  readonly manager: PoolManager;
}

type Options = {
  readonly config: Config<typeof CONTROLLER_SETTINGS>;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly log: Log;
};

/** Pools of one machine are few. */
const LOCAL_CONCURRENCY = 4;

/** The local mode's controller: takes the state folder, adopts what runs, and controls until a signal. Workers and the front outlive it. */
export async function runLocalController(options: Options): Promise<void> {
  const { config, clock, log } = options;
  const folder = new StateFolder(config.stateDir);
  folder.prepare();
  const lock = ControllerLock.take(folder.controller);
  const lifecycle = new Lifecycle(clock, log);
  lifecycle.onStop('lock', 1_000, () => lock.release());
  try {
    const { front, runtime } = await startProcesses(options, folder, lifecycle);
    const { manager, registry } = await startPools(options, { folder, runtime }, lifecycle);
    if (config.poolFile !== undefined) await manager.apply(readPool(config.poolFile));
    const port = await startApi(options, { folder, front, runtime, registry, manager }, lifecycle);
    lock.publish(port);
    log.info({ port, front: front.url, stateDir: folder.path }, 'controller runs');
  } catch (error) {
    await lifecycle.stop('it could not start');
    throw error;
  }
  lifecycle.exitOnSignals();
}

/** The front and the workers that run already. */
async function startProcesses(
  { config, env, clock, log }: Options,
  folder: StateFolder,
  lifecycle: Lifecycle,
): Promise<Pick<Parts, 'front' | 'runtime'>> {
  const passed = passedEnvironment(env);
  const script = sibling('runtime/front_main');
  const front = new FrontProcess({ folder, script, port: config.frontPort, env: passed, clock, log });
  await front.start();
  lifecycle.onStop('front watch', 1_000, () => front.close());
  const runtime = new LocalProcesses({
    folder,
    workerScript: config.workerEntry ?? sibling('../worker/main'),
    env: { ...passed, RTVOICE_PUBLIC_URL: config.publicUrl ?? front.url },
    clock,
    log,
  });
  runtime.start();
  lifecycle.onStop('runtime', 1_000, () => runtime.close());
  return { front, runtime };
}

async function startPools(
  { config, env, clock, log }: Options,
  { folder, runtime }: Pick<Parts, 'folder' | 'runtime'>,
  lifecycle: Lifecycle,
): Promise<Pick<Parts, 'manager' | 'registry'>> {
  const registry = createRegistry({ processMetrics: true });
  const access = await openRedisAccess({
    ...{ config, clock, log, registry },
    tokenCredential: () => Promise.resolve(lazyCredential(env)),
  });
  const loopMetrics = createKubeMetrics(registry);
  const { layout, ...reached } = access;
  const redis = new RedisClient({ ...reached, role: 'fastFail', clock, log, registry, name: 'rtvoice-controller' });
  lifecycle.onStop('redis', 1_000, async () => {
    await redis.close();
    access.credentials.close();
  });
  const internalKey = config.internalKeys[0] ?? '';
  const commands = new WorkerCommands(internalKey, log);
  lifecycle.onStop('commands', 1_000, () => commands.close());
  const host = new LocalHost({
    namespace: config.namespace,
    folder,
    runtime,
    leasesOf: ({ metadata, spec }, namespace) =>
      new RedisLeaseTable({
        client: redis,
        keys: new RedisKeyManager({ environment: spec.environment, appPrefix: spec.redis.keyPrefix, layout }),
        pool: { namespace, pool: metadata.name },
        times: { affinityMs: config.affinitySeconds * 1000 },
      }),
    ...{ internalKey, commands, clock, log },
    redis: { id: config.redisUrl, address: addressText(access.target.nodes[0]), client: redis },
    tiers: new RedisTiers({ clock, log, random: systemRandom, registry, credential: () => lazyCredential(env) }),
    env,
  });
  const shared = { runtime, explanations: new Explanations(), clock, host };
  const pools = new Pools({
    ...shared,
    metrics: controllerMetrics(registry),
    loopMetrics,
    random: systemRandom,
    log,
    fence: folder.raiseFence(),
    concurrency: LOCAL_CONCURRENCY,
    onFenced: () => {
      loopMetrics.setLeader(LOOP_NAME, false);
      log.error('a newer controller writes to Redis; this one stops');
      void pools.stop();
    },
  });
  const manager = new PoolManager({ ...shared, pools, namespace: config.namespace });
  manager.start();
  loopMetrics.setLeader(LOOP_NAME, true);
  lifecycle.onStop('pools', 5_000, () => manager.close());
  return { manager, registry };
}

/** Resolves to the port. */
async function startApi({ config, clock, log }: Options, parts: Parts, lifecycle: Lifecycle): Promise<number> {
  const { folder, front, runtime, registry, manager } = parts;
  const shutdown = (graceMs: number) => {
    lifecycle.onStop('processes', graceMs + 10_000, async () => {
      // The loops first: a worker that ends now must not be replaced.
      await manager.close();
      await endAll({ runtime, front, clock, graceMs });
    });
    void lifecycle.stop('shutdown asked for').then(() => process.exit(0));
  };
  const ready = () => !lifecycle.stopping && manager.leads;
  const routes = [...commonRoutes(manager), ...localRoutes(manager, shutdown)];
  const api = new ControllerApi({ routes, registry, token: apiToken(folder), log, ready });
  const port = await api.listen(config.port);
  lifecycle.onStop('api', 1_000, () => api.close());
  return port;
}

/** Path of another script of the product: TypeScript in a checkout, JavaScript when built. */
function sibling(path: string): string {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return fileURLToPath(new URL(path + extension, import.meta.url));
}

/** Kept across restarts, so that whoever holds it goes on. */
function apiToken(folder: StateFolder): string {
  if (existsSync(folder.token)) return readFileSync(folder.token, 'utf8').trim();
  const token = randomBytes(32).toString('base64url');
  writeDurably(folder.token, `${token}\n`);
  return token;
}
