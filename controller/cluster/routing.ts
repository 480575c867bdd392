import type { PoolRef } from '../../contract/ids.ts';
import { FIELD_MANAGER, LABELS } from '../../contract/labels.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict } from '../kube/errors.ts';
import type { HttpRoute, KubeObject, OwnerReference } from '../kube/objects.ts';
import { HTTP_ROUTES, PDBS, SERVICES } from '../kube/resources.ts';
import type { PoolObject } from '../pool/ports.ts';
import {
  anyWorker,
  budget,
  defaultRoute,
  type Owned,
  workerNames,
  workerRoute,
  workerService,
} from '../routing/objects.ts';
import type { KubePods } from '../runtime/kube_pods/kube_pods.ts';
import { ensure, kindIsMissing, prune } from './fixtures.ts';
import { BY_POOL, type Informers } from './informers.ts';

export interface RoutingOptions {
  readonly client: KubeClient;
  readonly informers: Pick<Informers, 'services' | 'budgets'>;
  readonly runtime: Pick<KubePods, 'list'>;
}

/** What keeps a pool from being reached, for people. */
export interface RoutingFault {
  readonly reason: string;
  readonly message: string;
}

/** Services, budget and routes of each pool, as they should be; what somebody changed is put right. */
export class Routing {
  readonly #options: RoutingOptions;
  /** Routes as they were applied last, by pool: they are not watched, since not every cluster knows their kind. */
  readonly #applied = new Map<string, Map<string, string>>();
  /** Objects of the cache that are as they should be, by pool. */
  readonly #standing = new Map<string, readonly KubeObject[]>();

  constructor(options: RoutingOptions) {
    this.#options = options;
  }

  async ensure(pool: PoolObject, owner: OwnerReference): Promise<RoutingFault | undefined> {
    const owned: Owned = { ref: pool.ref, owner };
    const { mode, gateway } = pool.document.spec.routing;
    try {
      await this.#fixtures(owned);
    } catch (error) {
      if (!isConflict(error)) throw error;
      return {
        reason: 'NameTaken',
        message: `a Service or PodDisruptionBudget of somebody else has a name that the pool needs; rename it or the pool: ${error instanceof Error ? error.message : ''}`,
      };
    }
    if (mode !== 'Gateway' || !gateway) return this.#leaveGateway(owned);
    try {
      await this.#routes(owned, gateway);
      return undefined;
    } catch (error) {
      if (!kindIsMissing(error)) throw error;
      return {
        reason: 'GatewayApiMissing',
        message:
          'routing.mode is Gateway, but this cluster does not know HTTPRoute; install the Gateway API or take Edge',
      };
    }
  }

  /** The same objects of the cache as when they stood as they should are not compared again. */
  async #fixtures(owned: Owned): Promise<void> {
    const { client, informers } = this.#options;
    const key = keyOf(owned);
    if (this.#standing.get(key)?.every((object) => object === this.#cached(object))) return;
    const services = { resource: SERVICES, informer: informers.services };
    const [names, any, limit] = [workerNames(owned), anyWorker(owned), budget(owned)];
    await ensure(client, services, names);
    await ensure(client, services, any);
    await ensure(client, { resource: PDBS, informer: informers.budgets }, limit);
    const wanted = [names, any, limit];
    const seen = wanted.map((object) => this.#cached(object)).filter((object) => object !== undefined);
    if (seen.length === wanted.length) this.#standing.set(key, seen);
  }

  #cached({ kind, metadata: { namespace, name } }: KubeObject): KubeObject | undefined {
    const { services, budgets } = this.#options.informers;
    return (kind === SERVICES.kind ? services : budgets).get(namespace, name);
  }

  async #routes(owned: Owned, gateway: Parameters<typeof defaultRoute>[1]): Promise<void> {
    const { client, informers, runtime } = this.#options;
    const workers = runtime.list(owned.ref).filter(({ presence }) => presence !== 'ended');
    const services = { resource: SERVICES, informer: informers.services };
    for (const { id } of workers) await ensure(client, services, workerService(owned, id));
    const wanted = [defaultRoute(owned, gateway), ...workers.map(({ id }) => workerRoute(owned, gateway, id))];
    await this.#apply(owned, wanted);
    const names = new Set(workers.map(({ id }) => id));
    await prune(client, services, this.#workerServices(owned), names);
  }

  /** In another mode nothing of the routes stays. */
  async #leaveGateway(owned: Owned): Promise<undefined> {
    const left = this.#workerServices(owned);
    if (left.length === 0 && !this.#applied.has(keyOf(owned))) return undefined;
    const { client, informers } = this.#options;
    await this.#apply(owned, []).catch((error: unknown) => {
      if (!kindIsMissing(error)) throw error;
    });
    await prune(client, { resource: SERVICES, informer: informers.services }, left, new Set());
    this.#applied.delete(keyOf(owned));
    return undefined;
  }

  /** Applies what has changed since the last time, and deletes what is not wanted any more. */
  async #apply(owned: Owned, wanted: readonly HttpRoute[]): Promise<void> {
    const { client } = this.#options;
    const { namespace } = owned.ref;
    const before = this.#applied.get(keyOf(owned)) ?? (await this.#existing(owned));
    const now = new Map(wanted.map((route) => [route.metadata.name, JSON.stringify(route)]));
    for (const route of wanted) {
      if (before.get(route.metadata.name) === now.get(route.metadata.name)) continue;
      await client.apply(HTTP_ROUTES, route, { fieldManager: FIELD_MANAGER, force: true });
    }
    for (const name of before.keys()) if (!now.has(name)) await client.delete(HTTP_ROUTES, { namespace, name }, {});
    this.#applied.set(keyOf(owned), now);
  }

  /** Those of an earlier controller, without their content: they are applied again once. */
  async #existing({ ref }: Owned): Promise<Map<string, string>> {
    const selector = `${LABELS.pool}=${ref.pool},app.kubernetes.io/component=route`;
    const { items } = await this.#options.client.list(HTTP_ROUTES, {
      namespace: ref.namespace,
      labelSelector: selector,
    });
    return new Map(items.map(({ metadata }) => [metadata.name, '']));
  }

  /** The pool is gone, and with it what it owned. */
  forget(ref: PoolRef): void {
    const prefix = `${ref.namespace}/${ref.pool}/`;
    for (const kept of [this.#standing, this.#applied])
      for (const key of kept.keys()) if (key.startsWith(prefix)) kept.delete(key);
  }

  #workerServices({ ref }: Owned) {
    return this.#options.informers.services
      .byIndex(BY_POOL, `${ref.namespace}/${ref.pool}`)
      .filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === 'worker');
  }
}

function keyOf({ ref, owner }: Owned): string {
  return `${ref.namespace}/${ref.pool}/${owner.uid}`;
}
