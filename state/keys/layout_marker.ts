import { defineError } from '../../platform/errors.ts';
import type { RedisClient } from '../redis/client.ts';
import { Component } from './component.ts';
import type { KeyLayout, RedisKeyManager } from './key_manager.ts';
import { ttlSeconds } from './ttl.ts';

export const LAYOUT_MISMATCH = defineError('ERR_LAYOUT_MISMATCH', {
  status: 500,
  message: 'the keys in this Redis were written in another layout',
  remedy:
    'Set the layout that the data have, or begin with an empty database: keys of one layout are invisible to the other.',
});

const MARKER_SECONDS = ttlSeconds('layout_marker');

/** Every start calls this: the first one records the key layout, a later one with another layout fails with ERR_LAYOUT_MISMATCH. */
export async function pinLayout(client: RedisClient, keys: RedisKeyManager): Promise<void> {
  const key = keys.globalKey('keys', Component.LAYOUT);
  await client.command('SET', key, keys.layout, 'NX', 'EX', MARKER_SECONDS);
  const stored = await client.command<KeyLayout>('GET', key);
  if (stored !== keys.layout) throw LAYOUT_MISMATCH.with(`${stored}, not ${keys.layout}`);
  await client.command('EXPIRE', key, MARKER_SECONDS);
}
