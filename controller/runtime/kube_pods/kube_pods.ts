import { EventEmitter } from 'node:events';
import type { PoolRef } from '../../../contract/ids.ts';
import { ANNOTATIONS, FIELD_MANAGER, LABELS } from '../../../contract/labels.ts';
import type { Clock } from '../../../platform/clock.ts';
import type { Log } from '../../../platform/log.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Informer } from '../../kube/informer.ts';
import type { Node, Pod } from '../../kube/objects.ts';
import { PODS } from '../../kube/resources.ts';
import type { Admission, CreateRequest, RuntimeWorker, WorkerKey, WorkerRuntime } from '../ports.ts';
import { NodeStates } from './node_states.ts';
import { workerOf } from './pod_state.ts';

export interface KubePodsOptions {
  readonly client: KubeClient;
  /** Worker Pods of every pool, indexed by `byPool` and `byNode`. */
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  /** The Pod to create; throws what a person has to see (an unknown revision, no image). */
  readonly podFor: (request: CreateRequest) => Pod;
  readonly clock: Clock;
  readonly log: Log;
}

/** One life of a Pod's container, as this process saw it. */
interface Life {
  readonly restarts: number;
  readonly sinceMs: number;
  incarnation: string | undefined;
}

/** The admission is applied under a name of its own: an apply under the Pod's would take away every field that it does not repeat. */
const ADMISSION_MANAGER = `${FIELD_MANAGER}-admission`;

/** Index of the Pods by their pool; the key is `poolKey`. */
export const BY_POOL = 'pool';
export const BY_NODE = 'node';
export const POD_INDEXES = {
  [BY_POOL]: (pod: Pod) => [`${pod.metadata.namespace}/${pod.metadata.labels?.[LABELS.pool] ?? ''}`],
  [BY_NODE]: (pod: Pod) => (pod.spec?.nodeName ? [pod.spec.nodeName] : []),
};

/** Workers as Pods. What is decided on them stands in their labels and annotations, so that it outlives the controller. */
export class KubePods implements WorkerRuntime {
  readonly #options: KubePodsOptions;
  readonly #events = new EventEmitter<{ change: [PoolRef] }>();
  readonly #lives = new Map<string, Life>();
  /** Pods that are gone from the API server and whose end is not written to Redis yet, by pool. */
  readonly #ended = new Map<string, Map<string, RuntimeWorker>>();
  readonly #nodeStates: NodeStates;
  readonly #unsubscribe: () => void;

  constructor(options: KubePodsOptions) {
    this.#options = options;
    this.#unsubscribe = options.pods.onChange((old, now) => this.#podChanged(old, now));
    this.#nodeStates = new NodeStates({ ...options, onChange: (node) => this.#nodeChanged(node) });
  }

  close(): void {
    this.#unsubscribe();
    this.#nodeStates.close();
    this.#events.removeAllListeners();
  }

  list(ref: PoolRef): RuntimeWorker[] {
    const key = poolKey(ref);
    const ended = this.#ended.get(key);
    const standing = this.#options.pods.byIndex(BY_POOL, key).map((pod) => this.#describe(pod));
    return ended ? [...standing, ...ended.values()] : standing;
  }

  find({ id, ref }: WorkerKey): RuntimeWorker | undefined {
    const pod = this.#options.pods.get(ref.namespace, id);
    return pod ? this.#describe(pod) : this.#ended.get(poolKey(ref))?.get(id);
  }

  countOn(host: string): number {
    return this.#options.pods.byIndex(BY_NODE, host).length;
  }

  onChange(listener: (pool: PoolRef) => void): () => void {
    this.#events.on('change', listener);
    return () => this.#events.off('change', listener);
  }

  async create(request: CreateRequest): Promise<void> {
    await this.#options.client.apply(PODS, this.#options.podFor(request), { fieldManager: FIELD_MANAGER, force: true });
  }

  async mark(worker: WorkerKey, admission: Admission, reason: string): Promise<void> {
    const pod = this.#pod(worker);
    if (!pod) return;
    const { name, namespace, uid } = pod.metadata;
    const metadata = {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      // Without it the apply would make a Pod that has gone meanwhile anew.
      ...(uid === undefined ? {} : { uid }),
      labels: { [LABELS.admitting]: String(admission === 'admitting') },
      annotations: { [ANNOTATIONS.admission]: admission, [ANNOTATIONS.admissionReason]: reason },
    };
    const patch: Pod = { apiVersion: 'v1', kind: 'Pod', metadata };
    await this.#options.client.apply(PODS, patch, { fieldManager: ADMISSION_MANAGER, force: true });
  }

  async stop(worker: WorkerKey, { reason, force }: { reason: string; force: boolean }): Promise<void> {
    const pod = this.#pod(worker);
    if (!pod || (pod.metadata.deletionTimestamp !== undefined && !force)) return;
    const { client, log } = this.#options;
    const ref = { namespace: worker.ref.namespace, name: worker.id };
    log.info({ worker: worker.id, reason, force }, 'deleting a worker Pod');
    if (force) {
      await client.delete(PODS, ref, { ...identity(pod, false), gracePeriodSeconds: 0 });
      return;
    }
    const bare = isProtected(pod)
      ? await client.patch<Pod>(PODS, ref, unprotected(pod), 'merge', { fieldManager: ADMISSION_MANAGER })
      : pod;
    await client.delete(PODS, ref, identity(bare, true));
  }

  /** A Pod that has ended and still stands is deleted; one that is gone is no longer remembered. */
  async forget(worker: WorkerKey): Promise<void> {
    const pod = this.#pod(worker);
    if (pod) {
      const ref = { namespace: worker.ref.namespace, name: worker.id };
      await this.#options.client.delete(PODS, ref, { ...identity(pod, false), gracePeriodSeconds: 0 });
    }
    this.#forgetEnded(worker.ref, worker.id);
  }

  learn(worker: WorkerKey, incarnation: string): void {
    const pod = this.#pod(worker);
    if (pod) this.#lifeOf(pod).incarnation = incarnation;
  }

  /** The pool is gone: nobody will ask for the ends of its workers. */
  forgetPool(ref: PoolRef): void {
    this.#ended.delete(poolKey(ref));
  }

  #pod({ id, ref }: WorkerKey): Pod | undefined {
    return this.#options.pods.get(ref.namespace, id);
  }

  #describe(pod: Pod): RuntimeWorker {
    const life = this.#lifeOf(pod);
    const name = pod.spec?.nodeName;
    const host = name === undefined ? undefined : { name, state: this.#nodeStates.of(name) };
    const ageMs = this.#options.clock.monotonicMs() - life.sinceMs;
    return { ...workerOf(pod), host, incarnation: life.incarnation, ageMs };
  }

  /** Ages are counted from when this process first saw the life: two machines' clocks are never compared. */
  #lifeOf(pod: Pod): Life {
    const key = pod.metadata.uid ?? pod.metadata.name;
    const { restarts } = workerOf(pod);
    const known = this.#lives.get(key);
    if (known && known.restarts === restarts) return known;
    const life: Life = { restarts, sinceMs: this.#options.clock.monotonicMs(), incarnation: undefined };
    this.#lives.set(key, life);
    return life;
  }

  #podChanged(old: Pod | undefined, now: Pod | undefined): void {
    const pod = now ?? old;
    if (!pod) return;
    const worker = this.#describe(pod);
    if (now) this.#forgetEnded(worker.ref, worker.id);
    else {
      const ended = this.#ended.get(poolKey(worker.ref)) ?? new Map<string, RuntimeWorker>();
      this.#ended.set(poolKey(worker.ref), ended.set(worker.id, { ...worker, presence: 'ended' }));
      this.#lives.delete(pod.metadata.uid ?? pod.metadata.name);
    }
    this.#events.emit('change', worker.ref);
  }

  #nodeChanged(name: string): void {
    const pools = new Map(
      this.#options.pods.byIndex(BY_NODE, name).map((pod) => {
        const { ref } = workerOf(pod);
        return [poolKey(ref), ref];
      }),
    );
    for (const ref of pools.values()) this.#events.emit('change', ref);
  }

  #forgetEnded(ref: PoolRef, id: string): void {
    const ended = this.#ended.get(poolKey(ref));
    ended?.delete(id);
    if (ended?.size === 0) this.#ended.delete(poolKey(ref));
  }
}

export function poolKey(ref: PoolRef): string {
  return `${ref.namespace}/${ref.pool}`;
}

/** Deleted is what was decided on: not another Pod of that name, and (with the version) not one that has changed meanwhile. */
function identity(pod: Pod, version: boolean): { uid?: string; resourceVersion?: string } {
  const { uid, resourceVersion } = pod.metadata;
  return {
    ...(uid === undefined ? {} : { uid }),
    ...(version && resourceVersion !== undefined ? { resourceVersion } : {}),
  };
}

/** Takes the Pod out of the budget; refused when it has changed since it was looked at. */
function unprotected(pod: Pod): object {
  const { resourceVersion } = pod.metadata;
  return {
    metadata: {
      resourceVersion,
      labels: { [LABELS.protected]: 'false' },
      annotations: { [ANNOTATIONS.safeToEvict]: 'true' },
    },
  };
}

function isProtected({ metadata }: Pod): boolean {
  const { labels, annotations } = metadata;
  return labels?.[LABELS.protected] !== 'false' || annotations?.[ANNOTATIONS.safeToEvict] !== 'true';
}
