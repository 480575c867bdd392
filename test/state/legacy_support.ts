import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { CALL_TTLS } from '../../state/calls/ttls.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import { type BulkOptions, type BulkRow, migrateAll } from '../../state/legacy/bulk.ts';
import { LegacyMetrics } from '../../state/legacy/metrics.ts';
import { MigratingCallStore } from '../../state/legacy/migrating_store.ts';
import { LegacyMigrator, type LegacyMigratorOptions } from '../../state/legacy/migrator.ts';
import type { FlatConversation, FlatKey } from '../../state/legacy/testing.ts';
import type { CallStore, HistoryEntry } from '../../state/ports.ts';
import type { RedisClient } from '../../state/redis/client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { newClient } from './support.ts';

export const GRACE_MS = 24 * 3_600_000;
export const POOL = { namespace: 'local', pool: 'demo' };

export function newMigrator(
  redis: RedisClient,
  keys: RedisKeyManager,
  more: Partial<LegacyMigratorOptions> = {},
): LegacyMigrator {
  const metrics = new LegacyMetrics(createRegistry({ processMetrics: false }));
  return new LegacyMigrator({ redis, keys, ttls: CALL_TTLS, graceMs: GRACE_MS, metrics, log: silentLog, ...more });
}

export function migratingStore(store: CallStore, migrator: LegacyMigrator): MigratingCallStore {
  return new MigratingCallStore({ store, migrator, log: silentLog });
}

export async function writeFlat(client: RedisClient, { keys }: FlatConversation): Promise<void> {
  for (const flat of keys) await writeKey(client, flat);
}

function writeKey(client: RedisClient, flat: FlatKey): Promise<unknown> {
  if ('hash' in flat) return client.command('HSET', flat.key, ...Object.entries(flat.hash).flat());
  if ('list' in flat) return client.command('RPUSH', flat.key, ...flat.list);
  return client.command('SET', flat.key, flat.string);
}

/** One walk over the whole store; the rows in the order of their ids. */
export async function bulk(
  parts: Pick<BulkOptions, 'migrator' | 'store' | 'legacyRedis'>,
  more: Partial<BulkOptions> = {},
): Promise<BulkRow[]> {
  const rows: BulkRow[] = [];
  await migrateAll({
    ...{ clock: systemClock, dryRun: false, limit: 1_000_000, ratePerSecond: 100_000, concurrency: 4, pool: POOL },
    ...{ ...parts, ...more },
    onRow: (row) => rows.push(row),
  });
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** What stands in every key, byte for byte, without times to live and without the order that a server gives to fields and members. */
export async function dump(
  client: RedisClient,
  wanted: (key: string) => boolean = () => true,
): Promise<Map<string, string>> {
  const keys = (await client.command<string[]>('KEYS', '*')).filter(wanted).sort();
  return new Map(await Promise.all(keys.map(async (key) => [key, await content(client, key)] as const)));
}

async function content(client: RedisClient, key: string): Promise<string> {
  const type = await client.command<string>('TYPE', key);
  if (type === 'set') return JSON.stringify((await client.command<string[]>('SMEMBERS', key)).sort());
  if (type !== 'hash') return (await client.commandBuffer<Buffer>('DUMP', key)).toString('base64');
  const fields = (await client.commandBuffer<Buffer[]>('HKEYS', key)).sort(Buffer.compare);
  const values = await Promise.all(fields.map((field) => client.commandBuffer<Buffer>('HGET', key, field)));
  return JSON.stringify([...fields, ...values].map((each) => each.toString('base64')));
}

export async function flushed(client: RedisClient): Promise<void> {
  await client.command('FLUSHALL');
}

export const isOurs = (key: string) => key.startsWith('rtvoice:');

/** A conversation of one thread, a second between its entries. */
export function talk(id: string, texts: readonly string[]): FlatConversation {
  const thread = texts.map((content, at) => ({
    role: at % 2 === 0 ? 'user' : 'assistant',
    content,
    timestamp: new Date(1_757_000_000_000 + at * 1000).toISOString(),
  }));
  const hash = { chat_history: JSON.stringify({ Desk: thread }), corememory: '{"active_agent":"Desk"}' };
  return { id, keys: [{ key: `session:${id}`, hash }] };
}

export const numbered = (count: number) => Array.from({ length: count }, (_, at) => `text ${at + 1}`);
export const texts = ({ history }: { history: readonly HistoryEntry[] }) => history.map(({ text }) => text);

export interface LegacyBench extends AsyncDisposable {
  redis: TestRedis;
  client: RedisClient;
  keys: RedisKeyManager;
}

/** A real server with one client of the patient role: a busy machine may hold an answer up for longer than a call would wait. */
export async function startLegacy(): Promise<LegacyBench> {
  const redis = await startRedis();
  const client = newClient(redis, 'patient');
  await client.ready();
  return {
    ...{ redis, client, keys: new RedisKeyManager({ environment: 'test' }) },
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await redis[Symbol.asyncDispose]();
    },
  };
}
