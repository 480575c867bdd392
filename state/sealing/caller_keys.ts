import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { type Random, systemRandom } from '../../platform/random.ts';
import { KEYS_UNAVAILABLE, RECORD_KEY_ERASED } from '../../security/sealing/errors.ts';
import {
  callerIdOf,
  type HeldKey,
  makeCallerKey,
  rewrapCallerKey,
  type TenantKeys,
  unwrapCallerKey,
  type WrappedCallerKey,
} from '../../security/sealing/wrapped_key.ts';
import { BoundedMemory } from './bounded_memory.ts';
import type { CallerKeyStore, StoredKeys } from './caller_key_store.ts';
import type { SealingMetrics } from './metrics.ts';

export interface CallerKeysOptions {
  tenantKeys: TenantKeys;
  /** The quick one (Redis) first, the one that lasts (Cosmos DB) last. */
  stores: readonly [CallerKeyStore, ...CallerKeyStore[]];
  clock: Clock;
  log: Log;
  metrics: SealingMetrics;
  random?: Random;
  /** A call that starts waits this long for the stores, then gets a new key. */
  waitMs?: number;
  /** Keys in memory: for this long after they were unwrapped, and so many. */
  memoryMs?: number;
  memoryLimit?: number;
}

/** Keys of callers: memory, then Redis, then Cosmos DB. A call never waits for a store: a caller may have several keys. */
export class CallerKeys {
  readonly #options: CallerKeysOptions;
  readonly #random: Random;
  /** By key id. */
  readonly #held: BoundedMemory<HeldKey>;
  /** By caller: what to use while the stores do not answer. */
  readonly #current: BoundedMemory<HeldKey>;
  /** Key ids that the last store has, so that it is not asked for each record. */
  readonly #settled: BoundedMemory<true>;

  constructor(options: CallerKeysOptions) {
    this.#options = options;
    this.#random = options.random ?? systemRandom;
    const { clock, memoryMs = 5 * 60_000, memoryLimit = 20_000 } = options;
    const memory = { clock, limit: memoryLimit, ttlMs: memoryMs };
    this.#held = new BoundedMemory(memory);
    this.#current = new BoundedMemory(memory);
    this.#settled = new BoundedMemory(memory);
  }

  get tenant(): string {
    return this.#options.tenantKeys.tenant;
  }

  /** The key for a call that starts. Rejects with ERR_KEYS_UNAVAILABLE when no tenant key can be had: never is there none in silence. */
  async forCaller(callerId: string): Promise<HeldKey> {
    const { metrics } = this.#options;
    const found = await this.#within(this.#lookUp(callerId));
    const remembered = this.#current.get(callerId);
    // Asked even though memory has one: it may have been erased meanwhile.
    if (remembered && (!found || remembered.wrapped.since === found.erasure)) {
      metrics.callerKey('memory');
      return remembered;
    }
    const stored = found && (await this.#firstThatUnwraps(found.keys));
    if (stored) {
      metrics.callerKey('store');
      return this.#remember(stored);
    }
    const made = await this.#make(callerId, found?.erasure);
    metrics.callerKey(found ? 'made' : 'madeUnanswered');
    return made;
  }

  /**
   * The key of a stored record; `travelling` when the record brought it along. Rejects with ERR_RECORD_KEY_ERASED when every store
   * says that it is gone, ERR_KEYS_UNAVAILABLE when one cannot say, ERR_RECORD_NOT_AUTHENTIC when it was not wrapped for this.
   */
  async byId(kid: string, travelling?: WrappedCallerKey): Promise<HeldKey> {
    const held = this.#held.get(kid);
    if (held) return held;
    if (travelling) return this.#keep(await this.#unwrap(travelling));
    let trouble: unknown;
    for (const store of this.#options.stores) {
      try {
        const wrapped = (await store.read(callerIdOf(kid))).keys.find((each) => each.kid === kid);
        if (wrapped) return this.#keep(await this.#unwrap(wrapped));
      } catch (error) {
        trouble ??= error;
      }
    }
    if (trouble !== undefined) throw KEYS_UNAVAILABLE.with(`caller key: ${errorCode(trouble)}`, trouble);
    throw RECORD_KEY_ERASED.with(kid);
  }

  /** Before a record loses the key that travels with it: the store that lasts has it, under the newest tenant key. Rejects with a store's error. */
  async settle(travelling: WrappedCallerKey): Promise<'stored' | 'erased'> {
    if (this.#settled.get(travelling.kid)) return 'stored';
    const { stores, tenantKeys } = this.#options;
    const newest = await tenantKeys.newest();
    // An older tenant key may be withdrawn once nothing stored needs it: what comes late must not bring it back.
    const wrapped =
      travelling.tk === newest.id
        ? travelling
        : rewrapCallerKey(await tenantKeys.byId(travelling.tk), newest, travelling);
    const outcome = await (stores.at(-1) ?? stores[0]).put(wrapped);
    if (outcome === 'stored') this.#settled.set(travelling.kid, true);
    else await this.#learnErasure(callerIdOf(travelling.kid));
    return outcome;
  }

  /** A store that has lost the mark of an erasure gave out a key that the last one refuses: it learns the mark, and memory forgets. */
  async #learnErasure(callerId: string): Promise<void> {
    const { stores } = this.#options;
    const { erasure } = await (stores.at(-1) ?? stores[0]).read(callerId);
    for (const store of stores.slice(0, -1)) {
      if (erasure !== undefined && (await store.read(callerId)).erasure !== erasure)
        await store.erase(callerId, erasure);
    }
    const current = this.#current.get(callerId);
    if (current && current.wrapped.since !== erasure) this.#current.delete(callerId);
  }

  /** Deletes a caller's keys in every store and here. Other processes forget within `memoryMs`. Rejects with a store's error: repeat it. */
  async erase(callerId: string): Promise<{ keys: number; erasure: string }> {
    const erasure = this.#random.id(20);
    const known = (await Promise.all(this.#options.stores.map((store) => store.read(callerId)))).flatMap(
      ({ keys }) => keys,
    );
    // The one that lasts first: a store before it could be filled from it again.
    for (const store of this.#options.stores.toReversed()) await store.erase(callerId, erasure);
    const kids = new Set(known.map(({ kid }) => kid));
    const current = this.#current.get(callerId);
    if (current) kids.add(current.wrapped.kid);
    for (const kid of kids) {
      this.#held.delete(kid);
      this.#settled.delete(kid);
    }
    this.#current.delete(callerId);
    return { keys: new Set(known.map(({ kid }) => kid)).size, erasure };
  }

  /** The first store that knows the caller answers; the ones before it learn what it knew. */
  async #lookUp(callerId: string): Promise<StoredKeys> {
    const { stores } = this.#options;
    let answer: StoredKeys | undefined;
    let trouble: unknown;
    for (const [at, store] of stores.entries()) {
      try {
        answer = await store.read(callerId);
        trouble = undefined;
      } catch (error) {
        trouble = error;
        continue;
      }
      if (answer.keys.length === 0 && answer.erasure === undefined) continue;
      for (const earlier of stores.slice(0, at)) this.#copy(earlier, answer.keys);
      return answer;
    }
    if (!answer) throw KEYS_UNAVAILABLE.with(`caller keys: ${errorCode(trouble)}`, trouble);
    return answer;
  }

  #copy(store: CallerKeyStore, keys: readonly WrappedCallerKey[]): void {
    for (const key of keys) store.put(key).catch((error) => this.#missed(error));
  }

  /** Undefined when it fails or takes longer than a call may wait. */
  #within(lookUp: Promise<StoredKeys>): Promise<StoredKeys | undefined> {
    const { clock, waitMs = 150 } = this.#options;
    return new Promise((resolve) => {
      const timer = clock.after(waitMs, () => resolve(undefined));
      lookUp.then(resolve, () => resolve(undefined)).finally(() => timer.cancel());
    });
  }

  /** By key id, so that workers of one caller's calls choose the same. */
  async #firstThatUnwraps(keys: readonly WrappedCallerKey[]): Promise<HeldKey | undefined> {
    for (const wrapped of [...keys].sort((a, b) => (a.kid < b.kid ? -1 : 1))) {
      try {
        return await this.#unwrap(wrapped);
      } catch (error) {
        this.#options.log.warn({ code: errorCode(error), tenantKey: wrapped.tk }, 'a stored caller key cannot be used');
      }
    }
    return undefined;
  }

  async #make(callerId: string, since: string | undefined): Promise<HeldKey> {
    const { tenantKeys, stores } = this.#options;
    const fields = { callerId, suffix: this.#random.id(16), tenant: tenantKeys.tenant };
    const made = makeCallerKey(await tenantKeys.newest(), since === undefined ? fields : { ...fields, since });
    // Best effort: the key travels with its records until the archiver has settled it.
    for (const store of stores) store.put(made.wrapped).catch((error) => this.#missed(error));
    return this.#remember(made);
  }

  async #unwrap(wrapped: WrappedCallerKey): Promise<HeldKey> {
    const { tenantKeys } = this.#options;
    return { key: unwrapCallerKey(await tenantKeys.byId(wrapped.tk), wrapped), wrapped };
  }

  #remember(held: HeldKey): HeldKey {
    this.#current.set(callerIdOf(held.wrapped.kid), held);
    return this.#keep(held);
  }

  #keep(held: HeldKey): HeldKey {
    this.#held.set(held.wrapped.kid, held);
    return held;
  }

  #missed(error: unknown): void {
    this.#options.log.debug(
      { code: errorCode(error) },
      'a key store did not take a caller key; the archiver will try again',
    );
  }
}
