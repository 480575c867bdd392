import type { KubeObject } from './objects.ts';

/** Names under which an object is found; an object may have several keys of one index. */
export type Indexes<T> = Readonly<Record<string, (object: T) => readonly string[]>>;

/** A cache of objects by namespace and name, with further indexes. */
export class Store<T extends KubeObject> {
  readonly #indexes: Indexes<T>;
  readonly #objects = new Map<string, T>();
  readonly #found = new Map<string, Map<string, Map<string, T>>>();

  constructor(indexes: Indexes<T> = {}) {
    this.#indexes = indexes;
    for (const name of Object.keys(indexes)) this.#found.set(name, new Map());
  }

  get size(): number {
    return this.#objects.size;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(keyOf({ namespace, name }));
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  byIndex(index: string, key: string): T[] {
    return [...(this.#found.get(index)?.get(key)?.values() ?? [])];
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  /** The object that was there before. */
  set(object: T): T | undefined {
    const key = keyOf(object.metadata);
    const before = this.#objects.get(key);
    if (before) this.#unindex(key, before);
    this.#objects.set(key, object);
    for (const [index, keysOf] of Object.entries(this.#indexes)) {
      for (const one of keysOf(object)) this.#bucket(index, one).set(key, object);
    }
    return before;
  }

  delete(key: string): T | undefined {
    const before = this.#objects.get(key);
    if (!before) return undefined;
    this.#objects.delete(key);
    this.#unindex(key, before);
    return before;
  }

  #unindex(key: string, object: T): void {
    for (const [index, keysOf] of Object.entries(this.#indexes)) {
      for (const one of keysOf(object)) {
        const bucket = this.#found.get(index)?.get(one);
        bucket?.delete(key);
        if (bucket?.size === 0) this.#found.get(index)?.delete(one);
      }
    }
  }

  #bucket(index: string, key: string): Map<string, T> {
    const buckets = this.#found.get(index) ?? new Map<string, Map<string, T>>();
    const bucket = buckets.get(key) ?? new Map<string, T>();
    this.#found.set(index, buckets.set(key, bucket));
    return bucket;
  }
}

export function keyOf({ namespace, name }: { namespace?: string | undefined; name: string }): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
