import { type KeyKind, keyKind } from '../keys/catalogue.ts';
import { KEY_INVALID, type ParsedKey, type RedisKeyManager } from '../keys/key_manager.ts';
import { ttlMs } from '../keys/ttl.ts';
import { KEY_NOT_WRITABLE } from './errors.ts';

export interface CheckedKey extends ParsedKey {
  kind: KeyKind;
}

/**
 * Kinds that anybody may write as a whole. All others belong to scripts, which check fences and keep indexes: a SET over them would
 * replace a live call's or a pool's state whatever its type.
 */
const OPEN: readonly `${string}:${string}`[] = [
  'call:recording',
  'call:participants',
  'call:media_stream',
  'call:summary',
  'cache:*',
  'profile:copy',
  'auth:state',
  'system:metrics',
  'system:health',
];

export function isOpen({ dataType, component }: KeyKind): boolean {
  return OPEN.includes(`${dataType}:${component ?? '*'}`);
}

/** The parts of a key of this prefix, environment and layout, with its kind; ERR_KEY_INVALID for any other text. */
export function checkKey(keys: RedisKeyManager, key: string): CheckedKey {
  const parsed = keys.parse(key);
  const kind = parsed && keyKind(parsed.dataType, parsed.component);
  if (!parsed || !kind)
    throw KEY_INVALID.with(`${JSON.stringify(key.slice(0, 120))} is no key of ${keys.pattern()}; use its builders`);
  return { ...parsed, kind };
}

export function checkWritable({ kind, dataType, component }: CheckedKey): void {
  if (!isOpen(kind)) throw KEY_NOT_WRITABLE.with(`${dataType} ${component ?? ''}`);
}

/** The policy's time to live, or the given one when it lies within the policy. */
export function lifeMs({ kind }: CheckedKey, seconds: number | undefined): number {
  return ttlMs(kind.ttl, seconds);
}
