import type { PoolRef } from '../../contract/ids.ts';
import { Component } from '../keys/component.ts';
import type { ParsedKey, RedisKeyManager } from '../keys/key_manager.ts';
import type { LeaseTable } from '../ports.ts';
import type { RedisClient } from '../redis/client.ts';
import { scanKeys } from '../redis/scan.ts';
import { defineScript } from '../redis/script.ts';
import type { BackupEntry } from './format.ts';

const CALL_COMPONENTS = [
  Component.SESSION,
  Component.FENCE,
  Component.OUTBOX,
  Component.OUTBOX_IDS,
  Component.QUARANTINE,
  Component.SUMMARY,
  Component.RECORDING,
  Component.PARTICIPANTS,
  Component.MEDIA_STREAM,
] as const;
const CONVERSATION_COMPONENTS = [Component.CONTEXT, Component.HISTORY] as const;

/** All keys of one call at one moment: a turn that is in the history is in the outbox as well. Reply: {place, ttl, dump}... */
const DUMP_CALL = defineScript({
  name: 'backupCall',
  keys: [...CALL_COMPONENTS, ...CONVERSATION_COMPONENTS, 'auth'].map(camelCase),
  lua: `
local found = {}
for i, key in ipairs(KEYS) do
  local dump = redis.call('DUMP', key)
  if dump then found[#found + 1] = { i, redis.call('PTTL', key), dump } end
end
return found
`,
});

const DUMP_KEY = defineScript({
  name: 'backupKey',
  keys: ['record'],
  lua: `
local dump = redis.call('DUMP', recordKey)
if not dump then return {} end
return { { 1, redis.call('PTTL', recordKey), dump } }
`,
});

type DumpReply = readonly [place: number, ttlMs: number, dump: Buffer];

/** Calls of a pool that are read at once. */
const UNSENT_PAGE = 500;

export interface DumpOptions {
  leases: (pool: PoolRef) => Pick<LeaseTable, 'unsent'>;
  /** Synthesised speech can be made again. */
  withCache: boolean;
}

/**
 * Every record of the fleet that cannot be made again. Of a pool that is: which calls are not archived, and its fences; all else its
 * workers and its controller write again, and do so before a restore can, so that these are told one by one. Calls that begin meanwhile may be missed; each one that is here is whole.
 * Keys without a time to live are skipped: nothing of ours writes them.
 */
export async function* dumpRecords(
  redis: RedisClient,
  keys: RedisKeyManager,
  options: DumpOptions,
): AsyncGenerator<BackupEntry> {
  const calls = new Set<string>();
  const seen = new Set<string>();
  for await (const page of scanKeys(redis, keys.pattern())) {
    for (const key of page) {
      const parsed = keys.parse(key);
      if (!parsed) continue;
      if (ofCall(parsed)) {
        if (calls.has(parsed.identifier)) continue;
        calls.add(parsed.identifier);
        yield* dumped(redis, DUMP_CALL, callKeysOf(keys, parsed.identifier));
        continue;
      }
      if (seen.has(key)) continue;
      if (lasts(parsed, options)) yield* dumped(redis, DUMP_KEY, [key]);
      else if (parsed.dataType === 'system' && parsed.component === Component.UNSENT)
        yield* poolEntries(redis, keys, parsed.identifier, options);
      else continue;
      seen.add(key);
    }
  }
}

async function* dumped(
  redis: RedisClient,
  script: typeof DUMP_KEY,
  names: readonly string[],
): AsyncGenerator<BackupEntry> {
  const found = await redis.runBuffer<DumpReply[]>(script, names, []);
  for (const [place, ttlMs, dump] of found) {
    const key = names[place - 1];
    if (key !== undefined && ttlMs > 0) yield { key, ttlMs, dump };
  }
}

async function* poolEntries(
  redis: RedisClient,
  keys: RedisKeyManager,
  tag: string,
  { leases }: DumpOptions,
): AsyncGenerator<BackupEntry> {
  const pool = poolOfTag(tag);
  const floor = await redis.command<string | null>('GET', keys.systemKey(pool, Component.FENCES));
  yield { pool: tag, fenceFloor: Number(floor ?? 0) };
  for (let offset = 0; ; offset += UNSENT_PAGE) {
    const calls = await leases(pool).unsent(UNSENT_PAGE, offset);
    for (const { callRef, callConnectionId } of calls) {
      // Without an id nothing was ever written of it.
      if (callConnectionId !== undefined) yield { pool: tag, callRef, callConnectionId };
    }
    if (calls.length < UNSENT_PAGE) return;
  }
}

/** Neither part of a tag holds a dot. */
export function poolOfTag(tag: string): PoolRef {
  const [namespace = '', pool = ''] = tag.split('.');
  return { namespace, pool };
}

function ofCall({ dataType }: ParsedKey): boolean {
  return dataType === 'call' || dataType === 'conversation' || dataType === 'auth';
}

function lasts({ dataType }: ParsedKey, { withCache }: DumpOptions): boolean {
  if (dataType === 'cache') return withCache;
  return dataType === 'profile';
}

function callKeysOf(keys: RedisKeyManager, id: string): string[] {
  return [
    ...CALL_COMPONENTS.map((component) => keys.callKey(id, component)),
    ...CONVERSATION_COMPONENTS.map((component) => keys.conversationKey(id, component)),
    keys.authKey(id),
  ];
}

function camelCase(component: string): string {
  return component.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
