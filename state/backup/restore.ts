import type { PoolRef } from '../../contract/ids.ts';
import { Component } from '../keys/component.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import type { LeaseTable } from '../ports.ts';
import type { RedisClient } from '../redis/client.ts';
import { scanKeys } from '../redis/scan.ts';
import { readBackup } from './backup.ts';
import { poolOfTag } from './dump.ts';
import { RESTORE_NOT_EMPTY } from './errors.ts';
import { type BackupEntry, checkFleet, type KeyEntry } from './format.ts';

export interface RestoreOptions {
  redis: RedisClient;
  keys: RedisKeyManager;
  path: string;
  /** Keeps what is there, and adds the rest. */
  merge: boolean;
  /** The lease table of a pool that is named in the backup. */
  leases: (pool: PoolRef) => Pick<LeaseTable, 'raiseFenceFloor' | 'enterUnsent'>;
}

export interface Restored {
  keys: number;
  /** Keys that were there already. */
  kept: number;
  /** Calls that the archivers of their pools will look at. */
  unsentCalls: number;
  pools: string[];
  /** Calls that are placed from now on get fences above this. */
  fenceFloor: number;
}

/** Above what any fence can have grown by between the backup and the loss: takeovers and placements of years. */
export const FENCE_JUMP = 1_000_000;
const IN_FLIGHT = 64;

/**
 * Brings records back. The whole backup is checked before anything is written. Fences go on above every old one, so that a worker
 * that was thought dead, or a lease from after the backup, cannot write over what is placed from now on.
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { redis, keys, path, merge } = options;
  const checked = await readBackup(path, () => undefined);
  checkFleet(checked.header, keys);
  if (!merge && (await holdsRecords(redis, keys))) throw RESTORE_NOT_EMPTY.with(keys.pattern());
  const restoring = new Restoring(options);
  await readBackup(path, (entry) => restoring.take(entry));
  await restoring.drain();
  return restoring.finish();
}

/** Records, not what workers and controllers write by themselves as soon as they run. */
async function holdsRecords(redis: RedisClient, keys: RedisKeyManager): Promise<boolean> {
  for (const dataType of ['call', 'conversation'] as const) {
    for await (const page of scanKeys(redis, keys.pattern({ dataType }))) if (page.length > 0) return true;
  }
  return false;
}

class Restoring {
  readonly #options: RestoreOptions;
  readonly #pools = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  #failure: unknown;
  #restored = 0;
  #kept = 0;
  #unsentCalls = 0;
  #highestFence = 0;

  constructor(options: RestoreOptions) {
    this.#options = options;
  }

  async take(entry: BackupEntry): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const running = this.#put(entry)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
    if (this.#running.size >= IN_FLIGHT) await Promise.race(this.#running);
  }

  async drain(): Promise<void> {
    await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async finish(): Promise<Restored> {
    let fenceFloor = this.#highestFence + FENCE_JUMP;
    const pools = [...this.#pools].sort();
    for (const tag of pools) {
      const { leases } = this.#options;
      fenceFloor = Math.max(fenceFloor, await leases(poolOfTag(tag)).raiseFenceFloor(fenceFloor));
    }
    return { keys: this.#restored, kept: this.#kept, unsentCalls: this.#unsentCalls, pools, fenceFloor };
  }

  async #put(entry: BackupEntry): Promise<void> {
    if ('dump' in entry) return this.#key(entry);
    this.#pools.add(entry.pool);
    if ('fenceFloor' in entry) {
      this.#highestFence = Math.max(this.#highestFence, entry.fenceFloor);
      return;
    }
    await this.#options.leases(poolOfTag(entry.pool)).enterUnsent(entry.callRef, entry.callConnectionId);
    this.#unsentCalls += 1;
  }

  async #key({ key, ttlMs, dump }: KeyEntry): Promise<void> {
    const { redis, keys } = this.#options;
    try {
      await redis.command('RESTORE', key, ttlMs, dump);
      this.#restored += 1;
    } catch (error) {
      if (!isTaken(error)) throw error;
      this.#kept += 1;
    }
    if (keys.parse(key)?.component !== Component.FENCE) return;
    const fence = Number(await redis.command<string | null>('HGET', key, 'fence'));
    if (Number.isSafeInteger(fence)) this.#highestFence = Math.max(this.#highestFence, fence);
  }
}

function isTaken(error: unknown): boolean {
  const { cause } = error as { cause?: unknown };
  return cause instanceof Error && cause.message.startsWith('BUSYKEY');
}
