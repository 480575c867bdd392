import type { PoolRef } from '../../contract/ids.ts';
import { DRAIN_FINALIZER, FIELD_MANAGER, LABELS } from '../../contract/labels.ts';
import { POOL_API_VERSION, POOL_KIND } from '../../contract/pool.ts';
import type { Clock } from '../../platform/clock.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict } from '../kube/errors.ts';
import type { EventRecorder } from '../kube/events.ts';
import { addFinalizer, removeFinalizer } from '../kube/finalizers.ts';
import type { Informer } from '../kube/informer.ts';
import type { OwnerReference, Pod } from '../kube/objects.ts';
import { controllerReference } from '../kube/owners.ts';
import { POOLS } from '../kube/resources.ts';
import type { Finding } from '../pool/finding.ts';
import type { PoolEvent, PoolHost, PoolLinks, PoolObject, Remembered } from '../pool/ports.ts';
import type { PoolStatus } from '../pool/status.ts';
import type { ActuationRecord } from '../redis_tier/ports.ts';
import type { KubePods } from '../runtime/kube_pods/kube_pods.ts';
import { workerPod } from '../runtime/kube_pods/pod_template.ts';
import type { CreateRequest } from '../runtime/ports.ts';
import type { Links } from './links.ts';
import { KUBE_POOLS, type KubePool, poolObject } from './pool_resource.ts';
import { kubeStatus } from './pool_status.ts';
import { type Revisions, revisionName } from './revisions.ts';
import type { Routing } from './routing.ts';
import type { StatusWriter } from './status_writer.ts';

export interface KubeHostOptions {
  readonly client: KubeClient;
  readonly pools: Informer<KubePool>;
  readonly links: Links;
  readonly revisions: Revisions;
  readonly routing: Routing;
  readonly statuses: StatusWriter;
  readonly events: EventRecorder;
  readonly runtime: Pick<KubePods, 'forgetPool'>;
  readonly clock: Clock;
  readonly defaults: {
    /** Image of workers whose pool names none. */
    readonly image: string | undefined;
    /** Base URL under which ACS reaches pools that name none. */
    readonly publicUrl: string | undefined;
  };
}

/** Pools as resources of the API server. */
export class KubeHost implements PoolHost {
  readonly #options: KubeHostOptions;

  constructor(options: KubeHostOptions) {
    this.#options = options;
  }

  get(ref: PoolRef): PoolObject | undefined {
    const pool = this.#resource(ref);
    return pool && poolObject(pool);
  }

  async prepare(pool: PoolObject): Promise<{ links: PoolLinks | undefined; findings: readonly Finding[] }> {
    const { client, links, routing } = this.#options;
    const resource = this.#resource(pool.ref);
    if (resource && !pool.deleting) {
      await this.#giveNumber(await addFinalizer(client, KUBE_POOLS, resource, DRAIN_FINALIZER));
    }
    const owner = resource && ownerOf(resource);
    const routingFault = owner && (await routing.ensure(pool, owner));
    const opened = await links.of(pool);
    const faults = [
      ...('reason' in opened ? [opened] : []),
      ...this.#configurationFaults(pool),
      ...(routingFault ? [routingFault] : []),
    ];
    return { links: 'reason' in opened ? undefined : opened, findings: [configurationFinding(faults)] };
  }

  keepRevision(pool: PoolObject, revision: string, inUse: ReadonlySet<string>): Promise<void> {
    const resource = this.#resource(pool.ref);
    if (!resource) return Promise.resolve();
    return this.#options.revisions.keep({ ...pool, owner: ownerOf(resource) }, revision, inUse);
  }

  /** The Pod of a worker of that revision, owned by the pool. Throws ERR_REVISION_UNKNOWN. */
  podFor({ id, ref, revision }: CreateRequest): Pod {
    const { revisions, defaults } = this.#options;
    const { spec } = revisions.document(ref, revision);
    const resource = this.#resource(ref);
    const pod = workerPod({
      id,
      ref,
      revision,
      spec,
      configMap: revisionName(ref, revision),
      image: spec.worker.image ?? defaults.image ?? '',
      publicUrl: spec.routing.publicUrl ?? defaults.publicUrl ?? '',
    }) as unknown as Pod;
    return resource ? { ...pod, metadata: { ...pod.metadata, ownerReferences: [ownerOf(resource)] } } : pod;
  }

  async report(pool: PoolObject, status: PoolStatus, remember: Remembered): Promise<void> {
    const { statuses, clock, defaults } = this.#options;
    const resource = this.#resource(pool.ref);
    if (!resource) return;
    const selector = `${LABELS.pool}=${pool.ref.pool},${LABELS.admitting}=true`;
    const image = pool.document.spec.worker.image ?? defaults.image;
    await statuses.write(resource, kubeStatus(status, remember, { selector, image, nowMs: clock.wallMs() }));
  }

  event(pool: PoolObject, { type, reason, message }: PoolEvent): void {
    const resource = this.#resource(pool.ref);
    if (!resource) return;
    const regarding = { ...resource, apiVersion: POOL_API_VERSION, kind: POOL_KIND };
    this.#options.events.event(regarding, type, reason, message);
  }

  /** Under a manager of its own, so that the rest of the status need not be known. */
  async keepActuation({ ref, uid }: PoolObject, redisActuation: ActuationRecord): Promise<void> {
    const metadata = { name: ref.pool, namespace: ref.namespace, ...(uid === undefined ? {} : { uid }) };
    const object = { apiVersion: POOL_API_VERSION, kind: POOL_KIND, metadata, status: { redisActuation } };
    await this.#options.client.applyStatus(POOLS, object, { fieldManager: `${FIELD_MANAGER}-redis`, force: true });
  }

  async finish(pool: PoolObject): Promise<void> {
    const resource = this.#resource(pool.ref);
    if (resource) await removeFinalizer(this.#options.client, KUBE_POOLS, resource, DRAIN_FINALIZER);
  }

  async forget(ref: PoolRef): Promise<void> {
    const { runtime, revisions, routing, statuses } = this.#options;
    runtime.forgetPool(ref);
    revisions.forget(ref);
    routing.forget(ref);
    statuses.forget(ref);
    await this.#options.links.forget(ref);
  }

  /** This controller does not decide any more: what was opened for pools is closed, and nothing asks for a larger Redis. */
  release(): Promise<void> {
    return this.#options.links.close();
  }

  #resource({ namespace, pool }: PoolRef): KubePool | undefined {
    return this.#options.pools.get(namespace, pool);
  }

  /** `GET /scale` fails while there is no number, and an autoscaler could never begin. */
  async #giveNumber({ metadata, spec, status }: KubePool): Promise<void> {
    if (spec.scaling.mode !== 'External' || spec.replicas !== undefined) return;
    const { name, namespace, resourceVersion } = metadata;
    const ref = { name, ...(namespace === undefined ? {} : { namespace }) };
    const replicas = Math.min(Math.max(status?.wantedWorkers ?? 0, spec.minWorkers), spec.maxWorkers);
    try {
      await this.#options.client.patch(
        KUBE_POOLS,
        ref,
        { metadata: { resourceVersion }, spec: { replicas } },
        'merge',
        {
          fieldManager: FIELD_MANAGER,
        },
      );
    } catch (error) {
      // Somebody has just written the pool, perhaps that very number: the next pass sees it.
      if (!isConflict(error)) throw error;
    }
  }

  #configurationFaults({ document }: PoolObject): Fault[] {
    const { defaults } = this.#options;
    const { worker, routing } = document.spec;
    const faults: Fault[] = [];
    if (worker.image === undefined && defaults.image === undefined) {
      faults.push({
        reason: 'ImageMissing',
        message: 'neither spec.worker.image nor RTVOICE_WORKER_IMAGE of the controller names an image',
      });
    }
    if (routing.publicUrl === undefined && defaults.publicUrl === undefined) {
      faults.push({
        reason: 'PublicUrlMissing',
        message:
          'neither spec.routing.publicUrl nor RTVOICE_PUBLIC_URL of the controller says where ACS reaches the pool',
      });
    }
    return faults;
  }
}

interface Fault {
  readonly reason: string;
  readonly message: string;
}

function configurationFinding(faults: readonly Fault[]): Finding {
  const [first] = faults;
  if (!first) {
    return {
      type: 'ConfigurationInvalid',
      status: 'False',
      reason: 'Complete',
      message: 'nothing outside the document is missing',
    };
  }
  const message = `${faults.map((fault) => fault.message).join('; ')}; no worker is made meanwhile, running ones go on`;
  return { type: 'ConfigurationInvalid', status: 'True', reason: first.reason, message };
}

function ownerOf(resource: KubePool): OwnerReference {
  return controllerReference({ ...resource, apiVersion: POOL_API_VERSION, kind: POOL_KIND });
}
