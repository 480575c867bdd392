import type { RedisClient } from '../redis/client.ts';
import { legacyKeys, parseLegacyKey } from './key_names.ts';

const SCAN_COUNT = 500;
/** Ids that are remembered so as not to be told twice; beyond it the oldest are forgotten, and looked at again without harm. */
const MAX_REMEMBERED = 1_000_000;

/**
 * Ids of every call and conversation that has flat keys, each once. Walks in small steps, so that the server is never held up; what is
 * written while it walks may be missed, as with every SCAN.
 *
 * SCAN sees the keys of one server alone, so every server of the client is asked, on a cluster each master.
 * The browser sessions that calls are mapped to are left out: they are read with their calls.
 */
export async function* legacyIds(redis: RedisClient): AsyncGenerator<string> {
  const mapped = new Remembered();
  for await (const key of scanAll(redis, 'call_session_map*')) {
    const found = parseLegacyKey(key);
    const sessionId = found?.kind === 'callMap' ? await textAt(redis, key) : undefined;
    if (sessionId !== undefined && sessionId !== found?.id) mapped.add(sessionId);
  }
  const told = new Remembered();
  for await (const key of scanAll(redis, '*')) {
    const found = parseLegacyKey(key);
    if (!found || (found.kind === 'session' && mapped.has(found.id) && key === legacyKeys.session(found.id))) continue;
    if (told.add(found.id)) yield found.id;
  }
}

async function* scanAll(redis: RedisClient, pattern: string): AsyncGenerator<string> {
  for (const server of redis.servers) {
    let cursor = '0';
    do {
      const args = [cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT];
      const [next, keys] = await redis.commandAt<[string, string[]]>(server, 'SCAN', ...args);
      cursor = next;
      yield* keys;
    } while (cursor !== '0');
  }
}

async function textAt(redis: RedisClient, key: string): Promise<string | undefined> {
  // GET on another type is an error; which it is says the plan of that call.
  if ((await redis.command<string>('TYPE', key)) !== 'string') return undefined;
  return (await redis.command<string | null>('GET', key)) ?? undefined;
}

class Remembered {
  readonly #ids = new Set<string>();

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** False when it was there. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > MAX_REMEMBERED && oldest !== undefined) this.#ids.delete(oldest);
    return true;
  }
}
