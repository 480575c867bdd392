import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { keyKind } from '../../state/keys/catalogue.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { auditKeys, KEY_FAULTS } from '../../state/manager/audit.ts';
import { RedisClient } from '../../state/redis/client.ts';
import { scanKeys } from '../../state/redis/scan.ts';
import { keyLayoutOf, parseRedisTarget, type RedisMode } from '../../state/redis/target.ts';

/**
 * What is wrong with the keys of the test environment, one line for each: a key without a time to live, outside the grammar, beyond
 * its policy, or of another type than the catalogue says. Every fleet of a test is asked at its end.
 */
export async function keyFaults(url: string, mode: RedisMode = 'Standalone'): Promise<string[]> {
  const registry = createRegistry({ processMetrics: false });
  const target = parseRedisTarget(mode, url);
  const client = new RedisClient({ target, role: 'patient', clock: systemClock, log: silentLog, registry });
  const keys = new RedisKeyManager({ environment: 'test', layout: keyLayoutOf(mode) });
  try {
    await client.ready();
    // Calls may have been cut on purpose, so that nobody refreshes them any more.
    const { names } = await auditKeys(client, keys, { refreshMs: 0 });
    const faults = KEY_FAULTS.flatMap((fault) => names[fault].map((key) => `${fault}: ${key}`));
    return [...faults, ...(await wrongTypes(client, keys))];
  } finally {
    await client.close();
  }
}

async function wrongTypes(client: RedisClient, keys: RedisKeyManager): Promise<string[]> {
  const faults: string[] = [];
  for await (const page of scanKeys(client, keys.pattern())) {
    for (const key of page) {
      const parsed = keys.parse(key);
      const kind = parsed && keyKind(parsed.dataType, parsed.component);
      const type = await client.command<string>('TYPE', key);
      if (kind && type !== 'none' && type !== kind.redisType) faults.push(`${type}, not ${kind.redisType}: ${key}`);
    }
  }
  return faults;
}
