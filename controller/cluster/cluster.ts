import { hostname } from 'node:os';
import type { PoolRef } from '../../contract/ids.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config.ts';
import { errorCode } from '../../platform/errors.ts';
import { Lifecycle } from '../../platform/lifecycle.ts';
import type { Log } from '../../platform/log.ts';
import { createRegistry, type Registry } from '../../platform/metrics.ts';
import { systemRandom } from '../../platform/random.ts';
import { ControllerApi } from '../api.ts';
import { commonRoutes } from '../api_routes.ts';
import { KubeClient } from '../kube/client.ts';
import { kubeEndpoint } from '../kube/credentials.ts';
import { EventRecorder } from '../kube/events.ts';
import { LeaderElector } from '../kube/leader.ts';
import { createKubeMetrics, type KubeMetrics } from '../kube/metrics.ts';
import { type ControllerMetrics, controllerMetrics } from '../metrics.ts';
import { Explanations } from '../pool/scaling/explanations.ts';
import { Pools } from '../pools.ts';
import { lazyCredential } from '../redis_tier/credential.ts';
import { RedisTiers } from '../redis_tier/tiers.ts';
import { KubePods } from '../runtime/kube_pods/kube_pods.ts';
import { Informers } from './informers.ts';
import { KubeHost } from './kube_host.ts';
import { Links } from './links.ts';
import { ClusterOperations } from './operations.ts';
import { Revisions } from './revisions.ts';
import { Routing } from './routing.ts';
import type { CLUSTER_SETTINGS } from './settings.ts';
import { StatusWriter } from './status_writer.ts';

export interface ClusterOptions {
  readonly config: Config<typeof CLUSTER_SETTINGS>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Name of the Lease that controllers are elected by. */
export const LEASE_NAME = 'rtvoice-controller';

/** The controller in a cluster: watches always, and decides while it holds the Lease. Losing the Lease stops the loops, not the process. */
export async function runClusterController(options: ClusterOptions): Promise<void> {
  const { clock, log } = options;
  const lifecycle = new Lifecycle(clock, log);
  try {
    const controller = await ClusterController.start(options, lifecycle);
    lifecycle.onStop('lead', 5_000, () => controller.stop());
  } catch (error) {
    await lifecycle.stop('it could not start');
    throw error;
  }
  lifecycle.exitOnSignals();
}

/** What lives as long as the process. */
interface Parts {
  readonly client: KubeClient;
  readonly informers: Informers;
  readonly host: KubeHost;
  readonly runtime: KubePods;
  readonly explanations: Explanations;
  readonly metrics: ControllerMetrics;
  readonly loopMetrics: KubeMetrics;
  readonly registry: Registry;
}

class ClusterController {
  readonly #options: ClusterOptions;
  readonly #parts: Parts;
  readonly #elector: LeaderElector;
  /** The loops of this term; undefined while another replica leads. */
  #pools: Pools | undefined;
  #stopping = false;

  private constructor(options: ClusterOptions, parts: Parts) {
    const { config, clock, log } = options;
    this.#options = options;
    this.#parts = parts;
    this.#elector = new LeaderElector({
      client: parts.client,
      namespace: config.podNamespace,
      name: LEASE_NAME,
      identity: config.podName ?? hostname(),
      clock,
      random: systemRandom,
      log,
      metrics: parts.loopMetrics,
      onStarted: ({ leaseTransitions }) => this.#lead(leaseTransitions),
      onStopped: () => this.#follow(),
    });
    parts.informers.onBesidesChange((ref) => this.#enqueue(ref));
    parts.informers.pools.onChange((old, now) => {
      const pool = now ?? old;
      if (pool) this.#enqueue({ namespace: pool.metadata.namespace ?? '', pool: pool.metadata.name });
    });
  }

  static async start(options: ClusterOptions, lifecycle: Lifecycle): Promise<ClusterController> {
    const { config, log } = options;
    let controller: ClusterController | undefined;
    const parts = await build(options, lifecycle, (ref) => controller?.figuresRead(ref));
    controller = new ClusterController(options, parts);
    const running = controller;
    const operations = new ClusterOperations({
      host: parts.host,
      pools: parts.informers.pools,
      runtime: parts.runtime,
      explanations: parts.explanations,
      leading: () => running.#pools,
    });
    const { registry } = parts;
    const api = new ControllerApi({
      ...{ routes: commonRoutes(operations), registry, token: config.token, log },
      // A replica that does not lead is ready too: it takes over at any moment.
      ready: () => !lifecycle.stopping && parts.informers.hasSynced,
    });
    const port = await api.listen(config.port, config.bindAddress);
    lifecycle.onStop('api', 1_000, () => api.close());
    log.info({ port, identity: config.podName ?? hostname() }, 'controller runs');
    await parts.informers.synced();
    running.#elector.start();
    return running;
  }

  /** Gives the lead back, so that another replica goes on at once. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#follow();
    await this.#elector.release();
  }

  figuresRead(ref: PoolRef): void {
    this.#pools?.figuresRead(ref);
  }

  #enqueue(ref: PoolRef): void {
    this.#pools?.enqueue(ref);
  }

  #lead(leaseTransitions: number): void {
    if (this.#stopping) return;
    const { clock, log, config } = this.#options;
    const { informers } = this.#parts;
    log.info({ leaseTransitions }, 'this controller leads');
    const pools = new Pools({
      ...this.#parts,
      clock,
      log,
      random: systemRandom,
      // Redis takes a fence of 0 for none.
      fence: leaseTransitions + 1,
      concurrency: config.concurrency,
      onFenced: (ref) => void this.#outrank(ref),
    });
    this.#pools = pools;
    for (const { metadata } of informers.pools.list()) {
      pools.enqueue({ namespace: metadata.namespace ?? '', pool: metadata.name });
    }
    pools.start();
  }

  async #follow(): Promise<void> {
    const pools = this.#pools;
    this.#pools = undefined;
    await pools?.stop();
    await this.#parts.host.release();
  }

  /**
   * Redis knows a higher fence than this term's. Either another replica leads by now, and the Lease will say so; or the Lease was deleted and
   * counts from zero again: while we hold it, it is ours to raise.
   */
  async #outrank(ref: PoolRef): Promise<void> {
    const { host } = this.#parts;
    const { log } = this.#options;
    try {
      const pool = host.get(ref);
      const links = pool && (await host.prepare(pool)).links;
      const known = await links?.leases.controllerFence();
      if (known === undefined) return;
      log.warn({ known }, 'Redis knows a higher fence of a controller; raising the number of the Lease above it');
      await this.#elector.raise(known);
    } catch (error) {
      log.warn({ code: errorCode(error) }, 'the Lease could not be raised; the next pass tries again');
    }
  }
}

/** Makes what lives as long as the process, in the order in which it must be closed in reverse. */
async function build(
  { config, clock, log }: ClusterOptions,
  lifecycle: Lifecycle,
  onFigures: (ref: PoolRef) => void,
): Promise<Parts> {
  const registry = createRegistry({ processMetrics: true });
  const loopMetrics = createKubeMetrics(registry);
  const endpoint = await kubeEndpoint(config.serviceAccountDir, config.kubeconfig);
  const client = new KubeClient({ endpoint, clock, log, metrics: loopMetrics });
  lifecycle.onStop('API client', 1_000, () => client.close());
  const shared = { client, clock, log, random: systemRandom };
  const informers = new Informers({ ...shared, namespace: config.watchNamespace, metrics: loopMetrics });
  informers.start();
  lifecycle.onStop('informers', 2_000, () => informers.stop());
  const events = new EventRecorder({
    ...shared,
    component: 'rtvoice-controller',
    instance: config.podName ?? hostname(),
  });
  lifecycle.onStop('events', 2_000, () => events.close());
  const runtime: KubePods = new KubePods({ ...shared, ...informers, podFor: (request) => host.podFor(request) });
  lifecycle.onStop('runtime', 1_000, () => runtime.close());
  const tiers = new RedisTiers({
    ...{ clock, log, random: systemRandom, registry, armEndpoint: config.armEndpoint },
    credential: () => lazyCredential(process.env),
  });
  const links = new Links({
    ...{ ...shared, runtime, registry, onFigures, tiers },
    tokenCredential: () => Promise.resolve(lazyCredential(process.env)),
    keepActuation: (pool, record) => host.keepActuation(pool, record),
    onEvent: (pool, event) => host.event(pool, event),
  });
  lifecycle.onStop('links', 2_000, () => links.close());
  const host: KubeHost = new KubeHost({
    ...{ client, clock, events, links, pools: informers.pools, runtime },
    revisions: new Revisions(client, informers.configMaps),
    routing: new Routing({ client, informers, runtime }),
    statuses: new StatusWriter(client, clock),
    defaults: { image: config.workerImage, publicUrl: config.publicUrl },
  });
  const metrics = controllerMetrics(registry);
  return { client, informers, host, runtime, explanations: new Explanations(), metrics, loopMetrics, registry };
}
