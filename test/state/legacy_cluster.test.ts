import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { flatConversation } from '../../state/legacy/testing.ts';
import type { RedisClient } from '../../state/redis/client.ts';
import { eventually } from '../support/redis.ts';
import { startCluster, type TestCluster } from '../support/redis_cluster.ts';
import { openClient } from '../support/redis_traffic.ts';
import { bulk, migratingStore, newMigrator, writeFlat } from './legacy_support.ts';
import { newStore } from './support.ts';

let cluster: TestCluster;
let client: RedisClient;
const keys = new RedisKeyManager({ environment: 'test', layout: 'cluster' });

before(async () => {
  cluster = await startCluster();
  ({ client } = openClient('Cluster', cluster.url, { role: 'patient' }));
  await client.ready();
  await eventually('all shards answer', () => client.breakerStates.every((state) => state === 'closed'));
});
after(async () => {
  await client.close();
  await cluster[Symbol.asyncDispose]();
});

/** Every key of every shard with its time to live in seconds. */
async function allTtls(): Promise<Map<string, number>> {
  const found = await Promise.all(client.servers.map((server) => client.commandAt<string[]>(server, 'KEYS', '*')));
  const names = found.flat();
  return new Map(await Promise.all(names.map(async (key) => [key, await client.command<number>('TTL', key)] as const)));
}

test('flat keys that lie over all shards are found and moved over, by readers and by the walk', async () => {
  const sample = fc.sample(flatConversation(), { numRuns: 40, seed: 3 });
  const conversations = [...new Map(sample.map((each) => [each.id, each])).values()];
  for (const each of conversations) await writeFlat(client, each);
  const store = newStore(client, keys);
  const migrator = newMigrator(client, keys);
  const half = conversations.slice(0, conversations.length / 2);
  const migrating = migratingStore(store, migrator);
  for (const { id } of half) assert.ok((await migrating.read(id)).session, JSON.stringify(id));

  const rows = await bulk({ migrator, store, legacyRedis: client });
  const counted = (state: string) => rows.filter((row) => row.state === state).length;
  assert.deepEqual([counted('done'), counted('migrated')], [half.length, conversations.length - half.length]);
  const all = await allTtls();
  for (const [key, seconds] of all) assert.ok(seconds > 0, `${key} has no TTL`);
  for (const key of [...all.keys()].filter((each) => each.startsWith('rtvoice:'))) assert.ok(keys.parse(key), key);
  for (const { id } of conversations) assert.ok((await store.read(id)).session, JSON.stringify(id));
});
