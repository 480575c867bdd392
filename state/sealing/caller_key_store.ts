import type { WrappedCallerKey } from '../../security/sealing/wrapped_key.ts';

/** What a store has of one caller. */
export interface StoredKeys {
  /** In no order. */
  readonly keys: readonly WrappedCallerKey[];
  /** Id of the caller's last erasure, as long as the store remembers it. */
  readonly erasure: string | undefined;
}

/**
 * Where wrapped caller keys live. Deleting a caller's keys makes what was sealed with them unreadable.
 *
 * An erasure leaves a mark, and a store takes only keys that were made in knowledge of it (`since`): a key that travelled with a
 * record while the erasure ran cannot come back. No clocks are compared for that. Every method rejects with the store's own error.
 */
export interface CallerKeyStore {
  read(callerId: string): Promise<StoredKeys>;
  /** Keeps what is there under the same id. `erased`: refused, since the caller was erased and the key does not know of it. */
  put(key: WrappedCallerKey): Promise<'stored' | 'erased'>;
  /** Deletes the caller's keys and remembers `erasure`. The number of keys that went. */
  erase(callerId: string, erasure: string): Promise<number>;
}

/** A store that can be walked, for rotation. */
export interface RewrapStore {
  readonly name: 'redis' | 'cosmos';
  /** Keys that another tenant key than `newest` wraps. Each may come more than once. */
  outdated(newest: string): AsyncIterable<WrappedCallerKey>;
  /** Puts `to` in the place of `from`; false when that is no longer there (erased, or wrapped anew by somebody else). */
  replace(from: WrappedCallerKey, to: WrappedCallerKey): Promise<boolean>;
  /** Keys by the tenant key that wraps them. */
  counts(): Promise<ReadonlyMap<string, number>>;
}
