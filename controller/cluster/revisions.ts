import type { PoolRef } from '../../contract/ids.ts';
import { FIELD_MANAGER, LABELS, poolLabels } from '../../contract/labels.ts';
import type { PoolSpec, VoiceWorkerPool } from '../../contract/pool.ts';
import { defineError } from '../../platform/errors.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Informer } from '../kube/informer.ts';
import type { ConfigMap, OwnerReference } from '../kube/objects.ts';
import { CONFIG_MAPS } from '../kube/resources.ts';
import { withLiveFields } from '../pool/pool_note.ts';
import { DOCUMENT_FILE } from '../runtime/kube_pods/pod_template.ts';
import { BY_POOL } from './informers.ts';

export const REVISION_UNKNOWN = defineError('ERR_REVISION_UNKNOWN', {
  status: 409,
  message: 'the document of a revision is not there',
  remedy:
    'The ConfigMap of that revision was deleted by hand; apply the pool document again and its workers are made from it.',
});

interface Settled {
  readonly spec: PoolSpec;
  readonly inUse: string;
  readonly maps: readonly ConfigMap[];
}

/** The very same objects of the cache: nothing has changed since. */
function isSame(before: Settled | undefined, now: Settled): boolean {
  return (
    before !== undefined &&
    before.spec === now.spec &&
    before.inUse === now.inUse &&
    before.maps.length === now.maps.length &&
    before.maps.every((map, at) => map === now.maps[at])
  );
}

/** The documents of a pool's revisions, each in a ConfigMap: workers read it, and a roll-back makes workers from it. */
export class Revisions {
  readonly #client: KubeClient;
  readonly #informer: Informer<ConfigMap>;
  /** What stood as it should after the last pass, by pool. */
  readonly #settled = new Map<string, Settled>();
  /** Written by this process and not seen by the informer yet. */
  readonly #own = new Map<string, VoiceWorkerPool>();

  constructor(client: KubeClient, informer: Informer<ConfigMap>) {
    this.#client = client;
    this.#informer = informer;
  }

  /** ERR_REVISION_UNKNOWN when there is none. */
  document(ref: PoolRef, revision: string): VoiceWorkerPool {
    const found = this.#read(ref, revision);
    if (!found) throw REVISION_UNKNOWN.with(`${ref.namespace}/${revisionName(ref, revision)}`);
    return found;
  }

  /** Keeps the document under its revision, hands live fields to the others in use, deletes the rest. Writes only what has changed. */
  async keep(
    pool: { ref: PoolRef; document: VoiceWorkerPool; owner: OwnerReference },
    revision: string,
    inUse: ReadonlySet<string>,
  ): Promise<void> {
    const key = `${pool.ref.namespace}/${pool.ref.pool}`;
    const maps = this.#informer.byIndex(BY_POOL, key);
    const now = { spec: pool.document.spec, inUse: [...inUse].sort().join(), maps };
    if (isSame(this.#settled.get(key), now)) return;
    await this.#write(pool, revision, pool.document);
    for (const map of maps) {
      const known = map.metadata.labels?.[LABELS.revision] ?? '';
      if (known === revision || known === '') continue;
      const before = this.#read(pool.ref, known);
      if (!inUse.has(known)) await this.#remove(pool.ref, known, map);
      else if (before) await this.#write(pool, known, withLiveFields(before, pool.document));
    }
    this.#settled.set(key, now);
  }

  /** The pool is gone. */
  forget({ namespace, pool }: PoolRef): void {
    this.#settled.delete(`${namespace}/${pool}`);
    for (const key of this.#own.keys()) if (key.startsWith(`${namespace}/${pool}-`)) this.#own.delete(key);
  }

  #read(ref: PoolRef, revision: string): VoiceWorkerPool | undefined {
    const name = revisionName(ref, revision);
    const text = this.#informer.get(ref.namespace, name)?.data?.[DOCUMENT_FILE];
    const own = this.#own.get(`${ref.namespace}/${name}`);
    if (text === undefined) return own;
    if (own && JSON.stringify(own) === text) this.#own.delete(`${ref.namespace}/${name}`);
    return own ?? (JSON.parse(text) as VoiceWorkerPool);
  }

  async #write(
    { ref, owner }: { ref: PoolRef; owner: OwnerReference },
    revision: string,
    document: VoiceWorkerPool,
  ): Promise<void> {
    const text = JSON.stringify(document);
    const before = this.#read(ref, revision);
    if (before && JSON.stringify(before) === text) return;
    const name = revisionName(ref, revision);
    const object: ConfigMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name,
        namespace: ref.namespace,
        labels: { ...poolLabels(ref, 'document'), [LABELS.revision]: revision },
        ownerReferences: [owner],
      },
      data: { [DOCUMENT_FILE]: text },
    };
    await this.#client.apply(CONFIG_MAPS, object, { fieldManager: FIELD_MANAGER, force: true });
    this.#own.set(`${ref.namespace}/${name}`, document);
  }

  async #remove(ref: PoolRef, revision: string, { metadata }: ConfigMap): Promise<void> {
    const name = revisionName(ref, revision);
    this.#own.delete(`${ref.namespace}/${name}`);
    const identity = metadata.uid === undefined ? {} : { uid: metadata.uid };
    await this.#client.delete(CONFIG_MAPS, { namespace: ref.namespace, name }, identity);
  }
}

export function revisionName(ref: PoolRef, revision: string): string {
  return `${ref.pool}-${revision}`;
}
