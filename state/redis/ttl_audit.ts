import type { RedisClient } from './client.ts';

const SCAN_COUNT = 500;

/** Keys that match `pattern`, and those of them without a time to live. Walks the keyspace in small steps: the server is never held up. */
export async function auditTtl(redis: RedisClient, pattern: string): Promise<{ keys: number; withoutTtl: string[] }> {
  const withoutTtl: string[] = [];
  const seen = new Set<string>();
  let cursor = '0';
  do {
    const [next, keys] = await redis.command<[string, string[]]>('SCAN', cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT);
    cursor = next;
    const fresh = keys.filter((key) => !seen.has(key));
    for (const key of fresh) seen.add(key);
    const ttls = await Promise.all(fresh.map((key) => redis.command<number>('PTTL', key)));
    // -1: no time to live; -2: gone meanwhile.
    withoutTtl.push(...fresh.filter((_, index) => Number(ttls[index]) === -1));
  } while (cursor !== '0');
  return { keys: seen.size, withoutTtl };
}
