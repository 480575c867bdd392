import { callerIdOf, parseWrappedKey, type WrappedCallerKey } from '../../security/sealing/wrapped_key.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import type { RedisClient } from '../redis/client.ts';
import { scanKeys } from '../redis/scan.ts';
import { defineScript } from '../redis/script.ts';
import type { CallerKeyStore, RewrapStore, StoredKeys } from './caller_key_store.ts';

/** No key id has this name: they hold a dot. */
const ERASURE_FIELD = 'erasure';
const SCAN_COUNT = 200;

/** ARGV kid, record, since, ttlMs, maxKeys. Reply: 0 when refused by an erasure, 1 when it stands. */
const PUT_SCRIPT = defineScript({
  name: 'callerKeyPut',
  keys: ['callerKeys'],
  lua: `
local erasure = redis.call('HGET', callerKeysKey, '${ERASURE_FIELD}')
if erasure and erasure ~= ARGV[3] then return 0 end
if redis.call('HLEN', callerKeysKey) < tonumber(ARGV[5]) then redis.call('HSETNX', callerKeysKey, ARGV[1], ARGV[2]) end
redis.call('PEXPIRE', callerKeysKey, ARGV[4])
return 1
`,
});

/** ARGV erasure, ttlMs. Reply: keys that went. */
const ERASE_SCRIPT = defineScript({
  name: 'callerKeyErase',
  keys: ['callerKeys'],
  lua: `
local count = redis.call('HLEN', callerKeysKey) - redis.call('HEXISTS', callerKeysKey, '${ERASURE_FIELD}')
redis.call('DEL', callerKeysKey)
redis.call('HSET', callerKeysKey, '${ERASURE_FIELD}', ARGV[1])
redis.call('PEXPIRE', callerKeysKey, ARGV[2])
return count
`,
});

/** ARGV kid, old record, new record. Reply: 1 when it was replaced. The time to live stays. */
const REPLACE_SCRIPT = defineScript({
  name: 'callerKeyReplace',
  keys: ['callerKeys'],
  lua: `
if redis.call('HGET', callerKeysKey, ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', callerKeysKey, ARGV[1], ARGV[3])
return 1
`,
});

export interface RedisCallerKeysOptions {
  redis: RedisClient;
  keys: RedisKeyManager;
  /** As long as records under these keys may stand in Redis: the outbox policy. */
  ttlMs: number;
  /** Of one caller; what is beyond it lives in Cosmos DB alone. */
  maxKeys?: number;
}

/** {@link CallerKeyStore} on Redis: one hash a caller. */
export class RedisCallerKeys implements CallerKeyStore, RewrapStore {
  readonly name = 'redis';
  readonly #options: RedisCallerKeysOptions;

  constructor(options: RedisCallerKeysOptions) {
    this.#options = options;
  }

  async read(callerId: string): Promise<StoredKeys> {
    const { redis } = this.#options;
    const fields = await redis.command<string[] | Record<string, string>>('HGETALL', this.#key(callerId));
    const entries = Array.isArray(fields) ? pairs(fields) : Object.entries(fields);
    const keys = entries.filter(([name]) => name !== ERASURE_FIELD).flatMap(([, text]) => parsed(text) ?? []);
    return { keys, erasure: entries.find(([name]) => name === ERASURE_FIELD)?.[1] };
  }

  async put(key: WrappedCallerKey): Promise<'stored' | 'erased'> {
    const { redis, ttlMs, maxKeys = 64 } = this.#options;
    const args = [key.kid, JSON.stringify(key), key.since ?? '', ttlMs, maxKeys];
    const stands = await redis.run<number>(PUT_SCRIPT, [this.#key(callerIdOf(key.kid))], args);
    return stands === 1 ? 'stored' : 'erased';
  }

  erase(callerId: string, erasure: string): Promise<number> {
    const { redis, ttlMs } = this.#options;
    return redis.run<number>(ERASE_SCRIPT, [this.#key(callerId)], [erasure, ttlMs]);
  }

  async *outdated(newest: string): AsyncIterable<WrappedCallerKey> {
    for await (const key of this.#all()) if (key.tk !== newest) yield key;
  }

  async replace(from: WrappedCallerKey, to: WrappedCallerKey): Promise<boolean> {
    const { redis } = this.#options;
    const args = [from.kid, JSON.stringify(from), JSON.stringify(to)];
    return (await redis.run<number>(REPLACE_SCRIPT, [this.#key(callerIdOf(from.kid))], args)) === 1;
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    const seen = new Set<string>();
    for await (const { kid, tk } of this.#all()) {
      if (seen.has(kid)) continue;
      seen.add(kid);
      counts.set(tk, (counts.get(tk) ?? 0) + 1);
    }
    return counts;
  }

  async *#all(): AsyncIterable<WrappedCallerKey> {
    const { redis, keys } = this.#options;
    for await (const names of scanKeys(redis, keys.pattern({ dataType: 'profile', component: 'keys' }), SCAN_COUNT)) {
      for (const name of names) {
        for (const text of await redis.command<string[]>('HVALS', name)) {
          const key = parsed(text);
          if (key) yield key;
        }
      }
    }
  }

  #key(callerId: string): string {
    return this.#options.keys.profileKey(callerId, 'keys');
  }
}

function pairs(fields: readonly string[]): [string, string][] {
  return Array.from({ length: fields.length / 2 }, (_, at) => [fields[2 * at] ?? '', fields[2 * at + 1] ?? '']);
}

function parsed(text: string): WrappedCallerKey | undefined {
  try {
    return parseWrappedKey(JSON.parse(text));
  } catch {
    // Also the mark of an erasure, which is no JSON.
    return undefined;
  }
}
