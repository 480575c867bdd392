import type { PoolRef } from '../../contract/ids.ts';
import { Component } from '../keys/component.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import type { Script } from '../redis/script.ts';

/** Names under which the scripts declare the pool's keys. */
const POOL_COMPONENTS = {
  epoch: Component.EPOCH,
  recovery: Component.RECOVERY,
  leases: Component.LEASES,
  owned: Component.OWNED,
  lapsed: Component.LAPSED,
  expiry: Component.EXPIRY,
  purge: Component.PURGE,
  rings: Component.RINGS,
  fences: Component.FENCES,
  index: Component.INDEX,
  workers: Component.WORKERS,
  beats: Component.BEATS,
  unsent: Component.UNSENT,
  unsentCalls: Component.UNSENT_CALLS,
  drains: Component.DRAINS,
  refused: Component.REFUSED,
  refusals: Component.REFUSALS,
  controller: Component.CONTROLLER,
} as const;

const WORKER_COMPONENTS = {
  affinity: Component.AFFINITY,
  heartbeat: Component.HEARTBEAT,
  inbox: Component.INBOX,
} as const;

/** Turns a script's declared names into this pool's keys; with `worker`, also into that worker's. */
export class LeaseKeys {
  readonly #manager: RedisKeyManager;
  readonly #pool: PoolRef;
  readonly #poolKeys: ReadonlyMap<string, string>;
  readonly #perScript = new Map<string, readonly string[]>();

  constructor(manager: RedisKeyManager, pool: PoolRef) {
    this.#manager = manager;
    this.#pool = pool;
    this.#poolKeys = new Map(
      Object.entries(POOL_COMPONENTS).map(([name, component]) => [name, manager.systemKey(pool, component)]),
    );
  }

  pool(name: keyof typeof POOL_COMPONENTS): string {
    return this.#key(name, undefined);
  }

  worker(worker: string, kind: keyof typeof WORKER_COMPONENTS): string {
    return this.#manager.workerKey(this.#pool, worker, WORKER_COMPONENTS[kind]);
  }

  of(script: Script, worker?: string): readonly string[] {
    const known = this.#perScript.get(script.name);
    if (known && worker === undefined) return known;
    const keys = script.keys.map((name) => this.#key(name, worker));
    if (worker === undefined) this.#perScript.set(script.name, keys);
    return keys;
  }

  #key(name: string, worker: string | undefined): string {
    const poolKey = this.#poolKeys.get(name);
    if (poolKey !== undefined) return poolKey;
    if (worker === undefined || !(name in WORKER_COMPONENTS)) throw new Error(`no key is known for ${name}`);
    return this.worker(worker, name as keyof typeof WORKER_COMPONENTS);
  }
}
