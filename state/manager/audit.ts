import { keyKind, ttlPolicy } from '../keys/catalogue.ts';
import { Component } from '../keys/component.ts';
import type { ParsedKey, RedisKeyManager } from '../keys/key_manager.ts';
import type { RedisClient } from '../redis/client.ts';
import { scanKeys } from '../redis/scan.ts';

export type KeyFault =
  /** Lives for ever: something wrote it without a time to live. */
  | 'withoutTtl'
  /** Under our prefix, but not of the grammar or of no known kind. */
  | 'outsideGrammar'
  /** Lives longer than its policy allows. */
  | 'beyondPolicy'
  /** Of a live call, and gone before the owner's next refresh. */
  | 'expiresBeforeRefresh';

export const KEY_FAULTS: readonly KeyFault[] = ['withoutTtl', 'outsideGrammar', 'beyondPolicy', 'expiresBeforeRefresh'];

export interface KeyAudit {
  keys: number;
  /** How many keys have each fault. */
  counts: Record<KeyFault, number>;
  /** The first thousand names of each. */
  names: Record<KeyFault, string[]>;
}

export interface AuditOptions {
  /** Default: every key of the prefix and environment. */
  pattern?: string;
  /** The owner of a live call refreshes its keys so often; default a third of the shortest policy. */
  refreshMs?: number;
  signal?: AbortSignal;
}

const MAX_NAMES = 1_000;
/** Expiry is judged with the server's clock and a scan takes time: a policy is broken only beyond this. */
const SLACK_MS = 1_000;
const REFRESH_MS = 10 * 60_000;

/**
 * Walks every master with SCAN. A key may be seen twice, and is counted once. Meant for a client that can wait: a whole
 * database is read, in steps that never hold the server up.
 */
export async function auditKeys(
  client: RedisClient,
  keys: RedisKeyManager,
  options: AuditOptions = {},
): Promise<KeyAudit> {
  const audit = emptyAudit();
  const seen = new Set<string>();
  for await (const page of scanKeys(client, options.pattern ?? keys.pattern())) {
    options.signal?.throwIfAborted();
    const fresh = page.filter((key) => !seen.has(key));
    for (const key of fresh) seen.add(key);
    const lives = await Promise.all(fresh.map((key) => client.command<number>('PTTL', key)));
    await Promise.all(
      fresh.map(async (key, index) => {
        const fault = await faultOf({ client, keys, key, lifeMs: Number(lives[index]), refreshMs: options.refreshMs });
        if (fault === 'gone') return;
        audit.keys += 1;
        if (fault !== undefined) note(audit, fault, key);
      }),
    );
  }
  return audit;
}

async function faultOf(looked: {
  client: RedisClient;
  keys: RedisKeyManager;
  key: string;
  lifeMs: number;
  refreshMs: number | undefined;
}): Promise<KeyFault | 'gone' | undefined> {
  const { client, keys, key, lifeMs, refreshMs = REFRESH_MS } = looked;
  if (lifeMs === -2) return 'gone';
  if (lifeMs === -1) return 'withoutTtl';
  const parsed = keys.parse(key);
  const kind = parsed && keyKind(parsed.dataType, parsed.component);
  if (!parsed || !kind) return 'outsideGrammar';
  const policy = ttlPolicy(kind);
  if (lifeMs > policy.max * 1000 + SLACK_MS) return 'beyondPolicy';
  const ofCall = parsed.dataType === 'call' || parsed.dataType === 'conversation';
  if (!ofCall || !policy.refreshedDuringCall || lifeMs >= refreshMs) return undefined;
  return (await isLive(client, keys, parsed)) ? 'expiresBeforeRefresh' : undefined;
}

/** A call that an owner holds and that has no end record. */
async function isLive(client: RedisClient, keys: RedisKeyManager, { identifier }: ParsedKey): Promise<boolean> {
  const [owned, ended] = await Promise.all([
    client.command<number>('EXISTS', keys.callKey(identifier, Component.FENCE)),
    client.command<number>('EXISTS', keys.summaryKey(identifier)),
  ]);
  return owned === 1 && ended === 0;
}

function emptyAudit(): KeyAudit {
  const each = <T>(make: () => T) => Object.fromEntries(KEY_FAULTS.map((fault) => [fault, make()]));
  return {
    keys: 0,
    counts: each(() => 0) as Record<KeyFault, number>,
    names: each((): string[] => []) as Record<KeyFault, string[]>,
  };
}

function note(audit: KeyAudit, fault: KeyFault, key: string): void {
  audit.counts[fault] += 1;
  if (audit.names[fault].length < MAX_NAMES) audit.names[fault].push(key);
}
