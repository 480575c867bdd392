import { type PoolRef, poolTag } from '../../contract/ids.ts';
import type { PlacementExplanation } from '../../state/ports.ts';
import type { Operations, PoolQuestion } from '../api_routes.ts';
import { NOT_LEADING, POOL_UNKNOWN, REQUEST_INVALID, WORKER_UNKNOWN } from '../errors.ts';
import type { Informer } from '../kube/informer.ts';
import type { Explanation, Explanations } from '../pool/scaling/explanations.ts';
import type { Pools } from '../pools.ts';
import type { KubePods } from '../runtime/kube_pods/kube_pods.ts';
import type { KubeHost } from './kube_host.ts';
import type { KubePool } from './pool_resource.ts';

export interface OperationDeps {
  readonly host: KubeHost;
  readonly pools: Informer<KubePool>;
  readonly runtime: KubePods;
  readonly explanations: Explanations;
  /** Undefined while another replica leads. */
  readonly leading: () => Pools | undefined;
}

/** What people ask of the controller in a cluster. Decisions are known to the leader alone; the other replica says so. */
export class ClusterOperations implements Operations {
  readonly #deps: OperationDeps;

  constructor(deps: OperationDeps) {
    this.#deps = deps;
  }

  list(): unknown {
    return this.#deps.pools.list().map(({ metadata, spec, status }) => ({
      metadata: { name: metadata.name, namespace: metadata.namespace, generation: metadata.generation },
      spec,
      status,
    }));
  }

  explain(question: PoolQuestion): readonly Explanation[] {
    this.#lead();
    if (question.pool === undefined) return this.#deps.explanations.list();
    return this.#deps.explanations.list(poolTag(this.#find(question)));
  }

  async explainPlacement(question: PoolQuestion): Promise<PlacementExplanation> {
    const ref = this.#find(question);
    const pool = this.#deps.host.get(ref);
    const links = pool && (await this.#deps.host.prepare(pool)).links;
    if (!pool || !links) throw POOL_UNKNOWN.with(`${ref.namespace}/${ref.pool} has no connection to Redis`);
    return links.leases.explainPlacement(pool.document.spec.placement.strategy);
  }

  async drain(
    worker: string,
    { namespace, deadlineMs }: { namespace: string | undefined; deadlineMs: number | undefined },
  ): Promise<void> {
    const pools = this.#lead();
    const found = this.#deps.pools
      .list()
      .map(({ metadata }) => ({ namespace: metadata.namespace ?? '', pool: metadata.name }))
      .filter((ref) => namespace === undefined || ref.namespace === namespace)
      .find((ref) => this.#deps.runtime.find({ id: worker, ref })?.ref.pool === ref.pool);
    const reconciler = found && pools.get(found);
    if (!found || !reconciler) throw WORKER_UNKNOWN.with(worker);
    await reconciler.drain(worker, deadlineMs);
    pools.enqueue(found);
  }

  #lead(): Pools {
    const pools = this.#deps.leading();
    if (!pools) throw NOT_LEADING.with();
    return pools;
  }

  /** By name, and by namespace where the name alone is not enough. */
  #find({ namespace, pool }: PoolQuestion): PoolRef {
    const found = this.#deps.pools
      .list()
      .map(({ metadata }) => ({ namespace: metadata.namespace ?? '', pool: metadata.name }))
      .filter((ref) => pool === undefined || ref.pool === pool)
      .filter((ref) => namespace === undefined || ref.namespace === namespace);
    const [only, ...more] = found;
    if (!only) throw POOL_UNKNOWN.with([namespace, pool].filter(Boolean).join('/'));
    if (more.length > 0) throw REQUEST_INVALID.with('there are several such pools; name `pool` and `namespace`');
    return only;
  }
}
