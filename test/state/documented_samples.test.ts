import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  AsyncAzureRedisManager,
  Component,
  ConversationManager,
  createRegistry,
  RedisClient,
  RedisKeyManager,
  silentLog,
  systemClock,
  TTL_POLICIES,
} from '../../index.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

/** The samples of the data architecture, as an application would write them against the library. */
let redis: TestRedis;
let client: RedisClient;
let redisManager: AsyncAzureRedisManager;

before(async () => {
  redis = await startRedis();
  const registry = createRegistry({ processMetrics: false });
  client = new RedisClient({ url: redis.url, role: 'fastFail', clock: systemClock, log: silentLog, registry });
  await client.ready();
  redisManager = new AsyncAzureRedisManager({ client, keyManager: new RedisKeyManager({ environment: 'prod' }) });
});
after(async () => {
  await redisManager.close();
  await redis[Symbol.asyncDispose]();
});

test('session of an ACS call', async () => {
  async function handleCallConnected(callConnectionId: string, sessionData: Record<string, string>): Promise<string> {
    const sessionKey = redisManager.keyManager.callKey(callConnectionId, Component.SESSION);
    await redisManager.storeCallSession(callConnectionId, sessionData);
    return sessionKey;
  }
  const key = await handleCallConnected('call-connection-id-1234', { language: 'en-US' });
  assert.equal(key, 'rtvoice:prod:call:call-connection-id-1234:session');
  assert.deepEqual(await redisManager.getCallSession('call-connection-id-1234'), { language: 'en-US' });
});

test('conversation with ConversationManager', async () => {
  async function setupConversation(sessionId: string): Promise<ConversationManager> {
    const cm = await ConversationManager.fromRedis(sessionId, redisManager);
    cm.updateContext({ user_authenticated: true });
    cm.appendToHistory('user', 'Hello');
    await cm.persist();
    return cm;
  }
  const first = await setupConversation('session-id-5678');
  const second = await setupConversation('session-id-5678');
  assert.deepEqual(second.context, { user_authenticated: true });
  assert.deepEqual(
    second.history.map(({ seq, role, text }) => ({ seq, role, text })),
    [
      { seq: 1, role: 'caller', text: 'Hello' },
      { seq: 2, role: 'caller', text: 'Hello' },
    ],
  );
  // The process that opened it later goes on; the earlier one is told.
  first.appendToHistory('assistant', 'too late');
  await assert.rejects(first.persist(), { code: 'ERR_CALL_FENCED' });
  assert.equal((await ConversationManager.fromRedis('session-id-5678', redisManager)).history.length, 2);
  const life = await client.command<number>('TTL', 'rtvoice:prod:conversation:session-id-5678:context');
  assert.equal(life, TTL_POLICIES.conversation_context.seconds);
});

test('a conversation that a worker holds is not taken from it', async () => {
  const owner = { fence: 1, incarnation: 'worker-incarnation' };
  const identity = {
    ...{ callRef: 'r', callConnectionId: 'held', correlationId: '', serverCallId: '', from: '', to: '' },
    startedAtMs: 1,
  };
  const options = { store: redisManager.calls, owner, clock: systemClock };
  const held = ConversationManager.start(options, identity, 'connected');
  await held.persist();
  await assert.rejects(ConversationManager.fromRedis('held', redisManager), { code: 'ERR_CALL_FENCED' });
  held.appendToHistory('caller', 'still here');
  held.finish({ reason: 'callerHangUp', workers: ['w'], partial: false, endedAtMs: 2 });
  await held.persist();
  assert.equal((await ConversationManager.fromRedis('held', redisManager)).history.length, 1);
});

test('cache of synthesised speech', async () => {
  async function cacheTtsResponse(phraseHash: string, audio: Uint8Array): Promise<string> {
    const key = `rtvoice:prod:cache:tts:${phraseHash}`;
    await redisManager.setBinary(key, audio, { ttlSeconds: 86_400 });
    return key;
  }
  const hash = createHash('sha256').update('Good morning').digest('hex');
  const key = await cacheTtsResponse(hash, Uint8Array.of(1, 2, 3));
  assert.equal(key, redisManager.keyManager.ttsKey(hash));
  assert.deepEqual(await redisManager.getBinary(key), Buffer.from([1, 2, 3]));
  assert.equal(await client.command('TTL', key), 86_400);
});

test('the documented lifetimes', () => {
  const documented = {
    conversation_context: 30 * 60,
    session_history: 2 * 60 * 60,
    authentication_state: 15 * 60,
    tts_cache: 24 * 60 * 60,
    call_summary: 7 * 24 * 60 * 60,
  };
  for (const [purpose, seconds] of Object.entries(documented)) {
    assert.equal(TTL_POLICIES[purpose as keyof typeof documented].seconds, seconds, purpose);
  }
});
