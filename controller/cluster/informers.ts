import type { PoolRef } from '../../contract/ids.ts';
import { LABELS } from '../../contract/labels.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import type { KubeClient } from '../kube/client.ts';
import { Informer } from '../kube/informer.ts';
import type { KubeMetrics } from '../kube/metrics.ts';
import type { ConfigMap, KubeObject, Node, Pod, PodDisruptionBudget, Service } from '../kube/objects.ts';
import { CONFIG_MAPS, NODES, PDBS, PODS, type Resource, SERVICES } from '../kube/resources.ts';
import { POD_INDEXES } from '../runtime/kube_pods/kube_pods.ts';
import { KUBE_POOLS, type KubePool } from './pool_resource.ts';
import { trimNode, trimPod, trimPool } from './trim.ts';

export interface InformersOptions {
  readonly client: KubeClient;
  /** Undefined: every namespace. */
  readonly namespace: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: KubeMetrics;
}

/** Only what belongs to a pool is watched: other objects of the cluster cost nothing here. */
const OURS = LABELS.pool;

/** Index by the pool that an object belongs to; the key is `<namespace>/<pool>`. */
export const BY_POOL = 'pool';
const OF_POOL = {
  [BY_POOL]: ({ metadata }: KubeObject) => [`${metadata.namespace}/${metadata.labels?.[LABELS.pool] ?? ''}`],
};

/** The caches of one controller. They follow the API server whether it leads or not, so that it can take over at once. */
export class Informers {
  readonly pools: Informer<KubePool>;
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly configMaps: Informer<ConfigMap>;
  readonly services: Informer<Service>;
  readonly budgets: Informer<PodDisruptionBudget>;

  constructor(options: InformersOptions) {
    const { namespace, ...shared } = options;
    const where = namespace === undefined ? {} : { namespace };
    const ours = { ...shared, ...where, labelSelector: OURS };
    const owned = <T extends KubeObject>(resource: Resource<T>) =>
      new Informer<T>({ ...ours, resource, indexes: OF_POOL });
    this.pools = new Informer<KubePool>({ ...shared, ...where, resource: KUBE_POOLS, transform: trimPool });
    this.nodes = new Informer<Node>({ ...shared, resource: NODES, transform: trimNode });
    this.pods = new Informer<Pod>({ ...ours, resource: PODS, indexes: POD_INDEXES, transform: trimPod });
    this.configMaps = owned(CONFIG_MAPS);
    this.services = owned(SERVICES);
    this.budgets = owned(PDBS);
  }

  /** Somebody made, changed or deleted what stands beside the workers of that pool. */
  onBesidesChange(listener: (pool: PoolRef) => void): void {
    const tell = (old: KubeObject | undefined, now: KubeObject | undefined) => {
      const { namespace = '', labels } = (now ?? old)?.metadata ?? { name: '' };
      listener({ namespace, pool: labels?.[LABELS.pool] ?? '' });
    };
    for (const informer of [this.configMaps, this.services, this.budgets]) informer.onChange(tell);
  }

  start(): void {
    for (const informer of this.#all()) informer.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.stop()));
  }

  async synced(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.synced()));
  }

  get hasSynced(): boolean {
    return this.#all().every((informer) => informer.hasSynced);
  }

  #all(): readonly Pick<Informer<KubeObject>, 'start' | 'stop' | 'synced' | 'hasSynced'>[] {
    return [this.pools, this.nodes, this.pods, this.configMaps, this.services, this.budgets];
  }
}
