import type { RedisClient } from './client.ts';

/**
 * Names of keys that match `pattern`, page by page, from each server that holds data. A name may come twice, and what is written
 * meanwhile may be missed. No server is ever held up.
 */
export async function* scanKeys(redis: RedisClient, pattern: string, count = 500): AsyncGenerator<string[]> {
  for (const server of redis.servers) {
    let cursor = '0';
    do {
      const step = ['MATCH', pattern, 'COUNT', count] as const;
      const [next, keys] = await redis.commandAt<[string, string[]]>(server, 'SCAN', cursor, ...step);
      cursor = next;
      if (keys.length > 0) yield keys;
    } while (cursor !== '0');
  }
}
