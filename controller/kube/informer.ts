import type { Log } from '../../platform/log.ts';
import type { KubeObject } from './objects.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { apiVersionOf, type Resource } from './resources.ts';
import { type Indexes, keyOf, Store } from './store.ts';

export interface InformerOptions<T extends KubeObject> extends Omit<ReflectorOptions<T>, 'sink'> {
  readonly indexes?: Indexes<T>;
  /** What is kept of an object. `managedFields` are gone by then, unless the resource keeps them. */
  readonly transform?: (object: T) => T;
  /** Whoever changes a cached object gets a TypeError; in tests always. */
  readonly freeze?: boolean;
}

/** `old` without `now`: gone; `now` without `old`: new. Another object under the same name is first gone, then new. */
export type ChangeListener<T> = (old: T | undefined, now: T | undefined) => void;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

/** A cache of one kind of object that follows the API server, and tells of every change. Objects in it are shared: nobody may change them. */
export class Informer<T extends KubeObject> {
  readonly #store: Store<T>;
  readonly #reflector: Reflector<T>;
  readonly #listeners = new Set<ChangeListener<T>>();
  readonly #options: InformerOptions<T>;
  readonly #freezes: boolean;
  readonly #waiting: Waiter[] = [];
  #synced = false;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#freezes = options.freeze ?? process.env.NODE_ENV === 'test';
    this.#store = new Store(guarded(options.indexes ?? {}, options.log));
    this.#reflector = new Reflector({
      ...options,
      sink: {
        replace: (objects) => this.#replace(objects),
        change: (type, object) => this.#change(type, object),
      },
    });
  }

  start(): void {
    this.#reflector.start();
  }

  /** From this call on no listener is called; who waits for the first list is told that it will not come. */
  async stop(): Promise<void> {
    await this.#reflector.stop();
    for (const { reject } of this.#waiting.splice(0))
      reject(new Error('the informer was stopped before its first list'));
  }

  /** The first list is in. */
  get hasSynced(): boolean {
    return this.#synced;
  }

  synced(): Promise<void> {
    if (this.#synced) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#store.get(namespace, name);
  }

  list(): T[] {
    return this.#store.list();
  }

  byIndex(index: string, key: string): T[] {
    return this.#store.byIndex(index, key);
  }

  /** Gives what ends the subscription. A listener that throws is logged and harms nobody else. */
  onChange(listener: ChangeListener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #replace(objects: readonly T[]): void {
    const wanted = new Set(objects.map(({ metadata }) => keyOf(metadata)));
    for (const key of [...this.#store.keys()]) {
      if (!wanted.has(key)) this.#tell(this.#store.delete(key), undefined);
    }
    for (const object of objects) this.#put(object);
    this.#synced = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #change(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void {
    if (type !== 'DELETED') {
      this.#put(object);
      return;
    }
    // Its last state, which the event carries, may be newer than the one that was seen.
    if (this.#store.delete(keyOf(object.metadata))) this.#tell(this.#shaped(object), undefined);
  }

  #put(given: T): void {
    const { uid, resourceVersion } = given.metadata;
    const known = this.#store.get(given.metadata.namespace, given.metadata.name)?.metadata;
    // A stream that was taken up again brings what has been seen already.
    if (resourceVersion !== undefined && known?.resourceVersion === resourceVersion && known.uid === uid) return;
    const object = this.#shaped(given);
    const before = this.#store.set(object);
    if (before && before.metadata.uid !== uid) {
      this.#tell(before, undefined);
      this.#tell(undefined, object);
    } else this.#tell(before, object);
  }

  #shaped(given: T): T {
    const { resource, transform, log } = this.#options;
    let object = typed(resource, given);
    try {
      if (transform) object = transform(object);
    } catch (error) {
      log.error({ kind: resource.kind, err: error }, 'a transform of the cache failed; the object is kept whole');
    }
    return this.#freezes ? deepFreeze(object) : object;
  }

  #tell(old: T | undefined, now: T | undefined): void {
    for (const listener of this.#listeners) {
      try {
        listener(old, now);
      } catch (error) {
        const { log, resource } = this.#options;
        log.error({ kind: resource.kind, err: error }, 'a listener of the cache failed');
      }
    }
  }
}

/** Objects of one shape: a list of built-in kinds leaves out what they are, a watch says it. */
function typed<T extends KubeObject>(resource: Resource<T>, object: T): T {
  const { managedFields, ...metadata } = object.metadata;
  const kept = resource.keepsManagedFields && managedFields ? { ...metadata, managedFields } : metadata;
  return { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: kept };
}

/** An index that fails for one object must not stop the cache: that object is not found by it, which is logged. */
function guarded<T extends KubeObject>(indexes: Indexes<T>, log: Log): Indexes<T> {
  const entries = Object.entries(indexes).map(([index, keysOf]) => {
    const safe = (object: T): readonly string[] => {
      try {
        return keysOf(object);
      } catch (error) {
        log.error({ index, err: error }, 'an index of the cache failed');
        return [];
      }
    };
    return [index, safe] as const;
  });
  return Object.fromEntries(entries);
}

function deepFreeze<T>(value: T): T {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
