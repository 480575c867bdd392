import { randomBytes } from 'node:crypto';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry, type Registry } from '../../platform/metrics.ts';
import { ConversationManager, type ConversationOptions } from '../../state/calls/conversation_manager.ts';
import { callKeys } from '../../state/calls/keys.ts';
import { RedisCallStore } from '../../state/calls/store.ts';
import { CALL_TTLS } from '../../state/calls/ttls.ts';
import { RedisKeyManager } from '../../state/keys/key_manager.ts';
import type { CallStore } from '../../state/ports.ts';
import { RedisClient } from '../../state/redis/client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

export interface StateBench extends AsyncDisposable {
  redis: TestRedis;
  client: RedisClient;
  keys: RedisKeyManager;
  store: RedisCallStore;
  /** Of the client. */
  registry: Registry;
}

/** A real redis-server with a client and a call store on it. */
export async function startState(options: { maxHistory?: number; persist?: boolean } = {}): Promise<StateBench> {
  const redis = await startRedis({ persist: options.persist ?? false });
  const registry = createRegistry({ processMetrics: false });
  const client = newClient(redis, 'fastFail', registry);
  await client.ready();
  const keys = new RedisKeyManager({ environment: 'test' });
  const store = newStore(client, keys, options.maxHistory);
  return {
    redis,
    client,
    keys,
    store,
    registry,
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await redis[Symbol.asyncDispose]();
    },
  };
}

export function newClient(
  redis: TestRedis,
  role: 'fastFail' | 'patient',
  registry: Registry = createRegistry({ processMetrics: false }),
): RedisClient {
  return new RedisClient({ url: redis.url, role, clock: systemClock, log: silentLog, registry });
}

export function newStore(client: RedisClient, keys: RedisKeyManager, maxHistory = 400): RedisCallStore {
  return new RedisCallStore({ redis: client, keys: callKeys(keys), ttls: CALL_TTLS, maxHistory });
}

export function newCallId(): string {
  return `call-${randomBytes(6).toString('hex')}`;
}

export function owner(fence: number, incarnation = `inc-${fence}`) {
  return { fence, incarnation };
}

export function conversationOptions(
  store: CallStore,
  fence: number,
  more: Partial<ConversationOptions> = {},
): ConversationOptions {
  return { store, owner: owner(fence), clock: systemClock, ...more };
}

export function startCall(
  store: CallStore,
  callConnectionId: string,
  fence = 1,
  more: Partial<ConversationOptions> = {},
) {
  const identity = {
    callRef: `ref${callConnectionId.slice(5)}`,
    callConnectionId,
    correlationId: 'correlation',
    serverCallId: 'server-call',
    from: '4:+15550100',
    to: '4:+15550101',
    startedAtMs: 1_000,
  };
  return ConversationManager.start(conversationOptions(store, fence, more), identity, 'connected');
}

export async function loaded(
  store: CallStore,
  callConnectionId: string,
  fence: number,
  more: Partial<ConversationOptions> = {},
) {
  const outcome = await ConversationManager.fromRedis(conversationOptions(store, fence, more), callConnectionId);
  if (outcome.kind !== 'loaded') throw new Error(`expected a loaded call, got ${outcome.kind}`);
  return outcome.manager;
}

/** Every key of the database with its time to live in seconds; -1 means none. */
export async function ttls(client: RedisClient): Promise<Map<string, number>> {
  const keys = await client.command<string[]>('KEYS', '*');
  return new Map(await Promise.all(keys.map(async (key) => [key, await client.command<number>('TTL', key)] as const)));
}
