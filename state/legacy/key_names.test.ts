import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Component } from '../keys/component.ts';
import { RedisKeyManager } from '../keys/key_manager.ts';
import { legacyKeys, migrateLegacyKey, parseLegacyKey } from './key_names.ts';
import { flatId } from './testing.ts';

const keys = new RedisKeyManager({ environment: 'prod' });
const clustered = new RedisKeyManager({ environment: 'prod', layout: 'cluster' });

test('every rename rule of the older key manager', () => {
  const renamed = {
    'session:abc': 'rtvoice:prod:conversation:abc:context',
    'call:abc:recording': 'rtvoice:prod:call:abc:recording',
    'call:abc:participants': 'rtvoice:prod:call:abc:participants',
    'call:abc:session': 'rtvoice:prod:call:abc:session',
    'call:abc:media_streaming_status': 'rtvoice:prod:call:abc:media_stream',
    'abc:hist': 'rtvoice:prod:conversation:abc:history',
    'session:media_abc': 'rtvoice:prod:conversation:media_abc:context',
    'session:prod.abc': 'rtvoice:prod:conversation:prod.abc:context',
  };
  for (const [old, name] of Object.entries(renamed)) assert.equal(migrateLegacyKey(keys, old), name);
  assert.equal(migrateLegacyKey(clustered, 'session:abc'), 'rtvoice:prod:conversation:{abc}:context');
});

test('every other key has no new name', () => {
  const others = [
    ...[
      '',
      'session',
      'session:',
      ':hist',
      'hist',
      'call:abc',
      'call::recording',
      'call:abc:other',
      'call:abc:media_stream',
    ],
    ...['call_stream_mode:abc', 'call_recording_preference:abc', 'call_session_map:abc', 'call_session_mapping:abc'],
    ...['dtmf_sequence:abc', 'dtmf_validation:abc', 'session:abc:card_application:c1', 'session:abc:esign_code:c1'],
    ...['rtvoice:prod:conversation:abc:history', 'rtvoice:dev:cache:tts:hist', 'other:prod:call:x:hist'],
  ];
  for (const key of others) assert.equal(migrateLegacyKey(keys, key), undefined, key);
});

test('an id that looks like a part of our own keys is an id all the same', () => {
  assert.deepEqual(parseLegacyKey('session:prod:abc'), { kind: 'session', id: 'prod:abc' });
  assert.deepEqual(parseLegacyKey('x:prod:y:hist'), { kind: 'history', id: 'x:prod:y' });
});

test('an id is taken out as it was put in, whatever it is, and never leaves its segment of the new key', () => {
  fc.assert(
    fc.property(fc.oneof(flatId, fc.constant('x'.repeat(10_000))), fc.constantFrom(keys, clustered), (id, manager) => {
      fc.pre(!id.startsWith('media_') && !/:(card_application|esign_code):/.test(id));
      for (const name of ['session', 'mediaSession', 'callMap', 'recording', 'participants', 'callSession'] as const) {
        assert.deepEqual(parseLegacyKey(legacyKeys[name](id)), { kind: name, id });
      }
      const renamed = migrateLegacyKey(manager, legacyKeys.session(id));
      assert.equal(renamed, manager.conversationKey(id, Component.CONTEXT));
      assert.equal(manager.parse(renamed ?? '')?.component, 'context');
    }),
  );
});
