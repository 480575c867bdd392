import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Component } from './component.ts';
import { RedisKeyManager } from './key_manager.ts';
import { TTL_POLICIES, ttlSeconds } from './ttl.ts';

const POOL = { namespace: 'local', pool: 'demo' };
const keys = new RedisKeyManager({ environment: 'prod' });
const clustered = new RedisKeyManager({ environment: 'prod', layout: 'cluster' });

describe('RedisKeyManager', () => {
  it('builds the documented keys', () => {
    assert.equal(keys.callKey('abc123', Component.SESSION), 'rtvoice:prod:call:abc123:session');
    assert.equal(keys.conversationKey('xyz789', Component.CONTEXT), 'rtvoice:prod:conversation:xyz789:context');
    assert.equal(
      keys.workerKey(POOL, 'demo-abcde', Component.AFFINITY),
      'rtvoice:prod:worker:local.demo.demo-abcde:affinity',
    );
    assert.equal(keys.systemKey(POOL, Component.LEASES), 'rtvoice:prod:system:local.demo:leases');
    assert.equal(keys.ttsKey('0a1b'), 'rtvoice:prod:cache:tts:0a1b');
    assert.equal(keys.summaryKey('abc123'), 'rtvoice:prod:call:abc123:summary');
  });

  it('puts what decides the slot in braces for a cluster', () => {
    assert.equal(clustered.callKey('abc', Component.SESSION), 'rtvoice:prod:call:{abc}:session');
    assert.equal(clustered.conversationKey('abc', Component.HISTORY), 'rtvoice:prod:conversation:{abc}:history');
    assert.equal(
      clustered.workerKey(POOL, 'demo-abcde', Component.INBOX),
      'rtvoice:prod:worker:{local.demo}.demo-abcde:inbox',
    );
    assert.equal(clustered.systemKey(POOL, Component.EPOCH), 'rtvoice:prod:system:{local.demo}:epoch');
  });

  it('refuses an environment it does not know instead of taking another', () => {
    for (const environment of ['production', '', 'Prod', 'dev ']) {
      assert.throws(() => new RedisKeyManager({ environment }), { code: 'ERR_KEY_INVALID' });
    }
    assert.throws(() => new RedisKeyManager({ environment: 'dev', appPrefix: 'a:b' }), { code: 'ERR_KEY_INVALID' });
  });

  it('never hashes a pool or a worker: a wrong one is refused', () => {
    assert.throws(() => keys.workerKey(POOL, 'a:b', Component.AFFINITY), { code: 'ERR_KEY_INVALID' });
    assert.throws(() => keys.systemKey({ namespace: 'local', pool: 'p'.repeat(41) }, Component.EPOCH), {
      code: 'ERR_KEY_INVALID',
    });
    assert.throws(() => keys.systemKey({ namespace: '{x}', pool: 'p' }, Component.EPOCH), { code: 'ERR_KEY_INVALID' });
  });

  it('lets no identifier out of its segment, in either layout', () => {
    const nasty = fc.constantFrom(
      'a:b',
      '*',
      '{x}',
      'a\r\nb',
      '\0',
      'x'.repeat(10_000),
      'ａｂｃ',
      '__proto__',
      '',
      '..',
    );
    fc.assert(
      fc.property(fc.oneof(nasty, fc.string(), fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/)), (id) => {
        for (const manager of [keys, clustered]) {
          const parsed = manager.parse(manager.callKey(id, Component.SESSION));
          assert.equal(parsed?.dataType, 'call');
          assert.equal(parsed?.component, 'session');
          assert.equal(
            manager.callKey(parsed?.identifier ?? '', Component.SESSION),
            manager.callKey(id, Component.SESSION),
          );
        }
      }),
    );
  });

  it('scans for no more than it was asked for', () => {
    assert.equal(keys.pattern(), 'rtvoice:prod:*');
    assert.equal(keys.pattern({ dataType: 'call' }), 'rtvoice:prod:call:*:*');
    assert.equal(keys.pattern({ component: 'session' }), 'rtvoice:prod:*:*:session');
    assert.equal(clustered.pattern({ dataType: 'call', identifier: 'a' }), 'rtvoice:prod:call:{a}:*');
    assert.match(keys.pattern({ dataType: 'call', identifier: '*' }), /^rtvoice:prod:call:h-[0-9a-f]+:\*$/);
    assert.equal(clustered.workersPattern(POOL), 'rtvoice:prod:worker:{local.demo}.*');
    assert.equal(keys.poolPattern(POOL), 'rtvoice:prod:system:local.demo:*');
    assert.throws(() => keys.pattern({ component: '*' }), { code: 'ERR_KEY_INVALID' });
    assert.throws(() => keys.pattern({ dataType: 'system', identifier: 'a' }), { code: 'ERR_KEY_INVALID' });
  });

  it('builds no key that nothing knows', () => {
    assert.throws(() => keys.callKey('a', Component.AFFINITY), { code: 'ERR_KEY_INVALID' });
    assert.throws(() => keys.systemKey(POOL, Component.CONTEXT), { code: 'ERR_KEY_INVALID' });
  });

  it('names the successor of an older key', () => {
    assert.equal(keys.migrateLegacyKey('session:abc'), 'rtvoice:prod:conversation:abc:context');
    assert.equal(keys.migrateLegacyKey('call:abc:media_streaming_status'), 'rtvoice:prod:call:abc:media_stream');
    assert.equal(keys.migrateLegacyKey('rtvoice:prod:call:abc:session'), undefined);
  });

  it('parses its own keys and no others', () => {
    assert.deepEqual(clustered.parse('rtvoice:prod:worker:{local.demo}.demo-abcde:affinity'), {
      appPrefix: 'rtvoice',
      environment: 'prod',
      dataType: 'worker',
      identifier: 'local.demo.demo-abcde',
      component: 'affinity',
    });
    for (const other of [
      'rtvoice:dev:call:a:session',
      'session:abc',
      'rtvoice:prod:thing:a:b',
      'rtvoice:prod:call:a:b:c',
      'rtvoice:prod:call:{a}:session',
    ]) {
      assert.equal(keys.parse(other), undefined, other);
    }
  });
});

describe('TTL_POLICIES', () => {
  it('holds the documented values', () => {
    const documented = {
      conversation_context: 1800,
      session_history: 7200,
      authentication_state: 900,
      tts_cache: 86_400,
      call_summary: 604_800,
    };
    for (const [purpose, seconds] of Object.entries(documented)) {
      assert.equal(TTL_POLICIES[purpose as keyof typeof documented].seconds, seconds);
    }
  });

  it('keeps every default within its own bounds and refuses others', () => {
    for (const { seconds, min, max } of Object.values(TTL_POLICIES)) assert.ok(min <= seconds && seconds <= max);
    assert.equal(ttlSeconds('affinity'), 300);
    assert.equal(ttlSeconds('affinity', 60), 60);
    assert.throws(() => ttlSeconds('affinity', 7200), { code: 'ERR_TTL_INVALID' });
    assert.throws(() => ttlSeconds('affinity', 1.5), { code: 'ERR_TTL_INVALID' });
  });
});
