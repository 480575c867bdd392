import { createSecretKey, type KeyObject } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { KEY_RING_INVALID, KEYS_UNAVAILABLE } from './errors.ts';
import { type KeyRing, type RingEntry, readKeyRing, type WrappedEntry } from './keys_file.ts';
import type { TenantKey, TenantKeys } from './wrapped_key.ts';

/** What unwraps a tenant's keys: Key Vault. */
export interface KeyUnwrapper {
  /** 32 bytes; rejects with whatever the vault's trouble is. */
  unwrap(entry: WrappedEntry): Promise<Buffer>;
}

export interface TenantKeyRingOptions {
  path: string;
  clock: Clock;
  log: Log;
  /** Needed for entries that a vault has wrapped. */
  unwrapper?: KeyUnwrapper;
  /** An unwrapped key serves so long; the vault is asked again from half of it on. A key that is disabled there dies here after it. */
  ttlMs?: number;
  /** The file is looked at again at most this often. */
  recheckMs?: number;
  /** After a failure the vault is asked again this much later at the earliest: its limits are the whole fleet's. */
  failureCooldownMs?: number;
}

/** A key that the ring has not makes the file be looked at this soon: the id comes from a record, so not each time. */
const UNKNOWN_KEY_RECHECK_MS = 250;

interface Unwrapped {
  key: KeyObject | undefined;
  untilMs: number;
  pending: Promise<KeyObject> | undefined;
  failure: { error: unknown; untilMs: number } | undefined;
}

/** {@link TenantKeys} from a file that is read again when it changes. At most 16 keys, so nothing here grows. */
export class TenantKeyRing implements TenantKeys {
  readonly #options: Required<Omit<TenantKeyRingOptions, 'unwrapper'>> & Pick<TenantKeyRingOptions, 'unwrapper'>;
  readonly #unwrapped = new Map<string, Unwrapped>();
  #ring: KeyRing;
  #stamp: string;
  #checkedAtMs: number;

  private constructor(options: TenantKeyRingOptions, ring: KeyRing, stamp: string) {
    this.#options = { ttlMs: 3_600_000, recheckMs: 5_000, failureCooldownMs: 2_000, ...options };
    this.#ring = ring;
    this.#stamp = stamp;
    this.#checkedAtMs = options.clock.monotonicMs();
  }

  /** Rejects with ERR_KEY_RING_INVALID. The vault is not asked yet. */
  static async open(options: TenantKeyRingOptions): Promise<TenantKeyRing> {
    const stamp = await stampOf(options.path);
    return new TenantKeyRing(options, await readKeyRing(options.path), stamp);
  }

  get tenant(): string {
    return this.#ring.tenant;
  }

  /** The one that wraps first. */
  get ids(): string[] {
    return this.#ring.keys.map(({ id }) => id);
  }

  async newest(): Promise<TenantKey> {
    await this.#recheck();
    const [entry] = this.#ring.keys;
    if (!entry) throw KEYS_UNAVAILABLE.with('the ring is empty');
    return { id: entry.id, key: await this.#key(entry) };
  }

  async byId(id: string): Promise<TenantKey> {
    await this.#recheck();
    const find = () => this.#ring.keys.find((each) => each.id === id);
    // Another process may have read the changed file first.
    if (!find()) await this.#recheck(UNKNOWN_KEY_RECHECK_MS);
    const entry = find();
    if (!entry) throw KEYS_UNAVAILABLE.with(`tenant key ${id} is not in the ring`);
    return { id, key: await this.#key(entry) };
  }

  async #recheck(afterMs = this.#options.recheckMs): Promise<void> {
    const { clock, log, path } = this.#options;
    if (clock.monotonicMs() - this.#checkedAtMs < afterMs) return;
    this.#checkedAtMs = clock.monotonicMs();
    try {
      const stamp = await stampOf(path);
      if (stamp === this.#stamp) return;
      const ring = await readKeyRing(path);
      if (ring.tenant !== this.#ring.tenant) throw KEY_RING_INVALID.with(`${path}: the tenant has changed`);
      const known = new Map(this.#ring.keys.map((entry) => [entry.id, JSON.stringify(entry)]));
      for (const id of this.#unwrapped.keys()) {
        const entry = ring.keys.find((each) => each.id === id);
        if (!entry || JSON.stringify(entry) !== known.get(id)) this.#unwrapped.delete(id);
      }
      this.#ring = ring;
      this.#stamp = stamp;
      log.info({ keys: ring.keys.length, newest: ring.keys[0]?.id }, 'the ring of tenant keys was read again');
    } catch (error) {
      // The keys at hand go on: half a file must not end live calls.
      log.error({ code: errorCode(error) }, 'the ring of tenant keys cannot be read again; the earlier one serves');
    }
  }

  async #key(entry: RingEntry): Promise<KeyObject> {
    const state = this.#unwrapped.get(entry.id) ?? {
      ...{ key: undefined, untilMs: 0, pending: undefined, failure: undefined },
    };
    this.#unwrapped.set(entry.id, state);
    const { clock, ttlMs } = this.#options;
    const remainingMs = state.untilMs - clock.monotonicMs();
    if (state.key && remainingMs > 0) {
      // In the background: a slow vault must not hold up what has a key. A failure shows when the key's time is over.
      if (remainingMs < ttlMs / 2) this.#unwrap(entry, state).catch(() => undefined);
      return state.key;
    }
    state.key = undefined;
    return this.#unwrap(entry, state);
  }

  #unwrap(entry: RingEntry, state: Unwrapped): Promise<KeyObject> {
    const { clock, ttlMs, failureCooldownMs } = this.#options;
    if (state.failure && clock.monotonicMs() < state.failure.untilMs) return Promise.reject(state.failure.error);
    state.pending ??= this.#material(entry)
      .then((bytes) => {
        if (bytes.length !== 32) throw new RangeError('a tenant key has 32 bytes');
        const key = createSecretKey(bytes);
        bytes.fill(0);
        Object.assign(state, { key, untilMs: clock.monotonicMs() + ttlMs, failure: undefined });
        return key;
      })
      .catch((cause) => {
        const error = KEYS_UNAVAILABLE.with(`tenant key ${entry.id}: ${errorCode(cause)}`, cause);
        state.failure = { error, untilMs: clock.monotonicMs() + failureCooldownMs };
        throw error;
      })
      .finally(() => {
        state.pending = undefined;
      });
    return state.pending;
  }

  async #material(entry: RingEntry): Promise<Buffer> {
    if ('key' in entry) return Buffer.from(entry.key, 'base64url');
    if (!this.#options.unwrapper) throw KEY_RING_INVALID.with(`tenant key ${entry.id} needs a vault`);
    return this.#options.unwrapper.unwrap(entry);
  }
}

/** A mounted secret changes by the swap of a link: another file under the same name. */
async function stampOf(path: string): Promise<string> {
  try {
    const { ino, mtimeMs, size } = await stat(path);
    return `${ino} ${mtimeMs} ${size}`;
  } catch (error) {
    throw KEY_RING_INVALID.with(`${path}: ${errorCode(error)}`, error);
  }
}
