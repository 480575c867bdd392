import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Conversion, convertLegacy, type MigratedConversation } from './convert.ts';
import { LEGACY_LIMITS, type LegacyLimits } from './limits.ts';
import { type FlatKey, sourceOf } from './testing.ts';

const STAMP = '2025-09-04T12:00:01.000Z';

function convert(keys: FlatKey[], limits: Partial<LegacyLimits> = {}): Conversion {
  return convertLegacy(sourceOf({ id: 'abc', keys }), { ...LEGACY_LIMITS, ...limits });
}

function converted(hash: Record<string, string>, limits: Partial<LegacyLimits> = {}): MigratedConversation {
  const { conversation, faults } = convert([{ key: 'session:abc', hash }], limits);
  assert.ok(conversation && faults.length === 0);
  return conversation;
}

/** The fault of the only key. */
function refused(hash: Record<string, string>, limits: Partial<LegacyLimits> = {}): { code: string; reason: string } {
  const { conversation, faults } = convert([{ key: 'session:abc', hash }], limits);
  const [fault, ...more] = faults;
  assert.ok(fault && more.length === 0 && conversation === undefined);
  return fault;
}

describe('generations', () => {
  const list = JSON.stringify([
    { role: 'user', content: 'hello' },
    { role: 'assistant', content: 'welcome' },
  ]);

  test('a list with its context', () => {
    const { session, context, history } = converted({
      history: list,
      context: JSON.stringify({ authenticated: true, latency_roundtrip: { stt: [{ start: 1, end: 2, dur: 1 }] } }),
    });
    assert.equal(session.legacy.generation, 'list');
    assert.deepEqual(context, { authenticated: true, latency_roundtrip: { stt: [{ start: 1, end: 2, dur: 1 }] } });
    assert.deepEqual(history, [
      { seq: 1, role: 'caller', text: 'hello', atMs: 0, agent: 'default', legacy: { time: 'unknown' } },
      { seq: 2, role: 'assistant', text: 'welcome', atMs: 0, agent: 'default', legacy: { time: 'unknown' } },
    ]);
    assert.equal(session.nextSeq, 3);
  });

  test('a list under the newer field names', () => {
    const { session, history } = converted({
      chat_history: list,
      corememory: '{"session_info":{"created_at":1756989296}}',
    });
    assert.equal(session.legacy.generation, 'early');
    assert.equal(session.startedAtMs, 1_756_989_296_000);
    assert.deepEqual(
      history.map(({ atMs, agent, legacy }) => [atMs, agent, legacy]),
      [
        [1_756_989_296_000, 'default', { time: 'session' }],
        [1_756_989_296_000, 'default', { time: 'session' }],
      ],
    );
  });

  test('threads by agent', () => {
    const { session, context, history } = converted({
      chat_history: JSON.stringify({
        Desk: [{ role: 'user', content: 'hello', timestamp: STAMP }],
        Claims: [{ role: 'tool', content: null, timestamp: '2025-09-04T12:00:00.123456', tool_call_id: 't1' }],
      }),
      corememory: JSON.stringify({ active_agent: 'Desk', caller_id: '4:+15550100', call_active: false }),
    });
    assert.equal(session.legacy.generation, 'threads');
    assert.deepEqual([session.from, session.state, context.active_agent], ['4:+15550100', 'ended', 'Desk']);
    assert.deepEqual(history, [
      {
        ...{ seq: 1, role: 'system', text: '', atMs: Date.parse(STAMP) - 877, agent: 'Claims' },
        legacy: {
          role: 'tool',
          timestamp: '2025-09-04T12:00:00.123456',
          content: null,
          members: { tool_call_id: 't1' },
        },
      },
      { seq: 2, role: 'caller', text: 'hello', atMs: Date.parse(STAMP), agent: 'Desk' },
    ]);
  });

  test('old and new field names in one hash, and fields that nobody knows', () => {
    const { session, context, history } = converted({
      ...{
        history: list,
        context: '{"a":1,"b":1}',
        chat_history: '{"Desk":[]}',
        corememory: '{"b":2}',
        extra: '{"x":1}',
      },
      note: 'not json {',
    });
    assert.equal(session.legacy.generation, 'mixed');
    assert.equal(history.length, 2);
    assert.deepEqual(context, {
      ...{ a: 1, b: 2 },
      legacy: { overridden: { b: [1] }, fields: { 'session:abc': { extra: { x: 1 }, note: 'not json {' } } },
    });
  });
});

describe('two hashes of one call', () => {
  test('the media handler has the last word, and what it overrides is kept', () => {
    const { conversation } = convert([
      { key: 'session:abc', hash: { corememory: '{"call_active":false,"step":1}', chat_history: '{}' } },
      {
        key: 'session:media_abc',
        hash: { corememory: '{"step":2}', chat_history: '{"Desk":[{"role":"user","content":"hi"}]}' },
      },
      { key: 'call_session_map:abc', string: 'browser_1' },
      { key: 'session:browser_1', hash: { corememory: '{"step":3}' } },
      { key: 'call:abc:session', hash: { status: 'up' } },
      { key: 'call:abc:recording', string: '{"id":"r1"}' },
      { key: 'call_stream_mode:abc', string: 'media' },
    ]);
    assert.deepEqual(conversation?.context, {
      ...{ call_active: false, step: 3 },
      legacy: {
        ...{ overridden: { step: [1, 2] }, callSession: { status: 'up' }, settings: { streamMode: 'media' } },
        sessionId: 'browser_1',
      },
    });
    assert.deepEqual(conversation?.components, { recording: { value: { id: 'r1' } } });
    assert.equal(conversation?.history.length, 1);
    assert.equal(conversation?.session.legacy.keys.length, 7);
  });

  test('one that cannot be read is a fault, and the other is moved over', () => {
    const { conversation, faults } = convert([
      { key: 'session:abc', hash: { chat_history: '{"Desk":"secret words"}' } },
      { key: 'session:media_abc', hash: { chat_history: '{"Desk":[{"role":"user","content":"hi"}]}' } },
    ]);
    assert.equal(conversation?.history.length, 1);
    assert.deepEqual(
      faults.map(({ key, code }) => [key, code]),
      [['session:abc', 'ERR_LEGACY_UNREADABLE']],
    );
    assert.deepEqual(
      conversation?.session.legacy.keys.map(({ key }) => key),
      ['session:media_abc'],
    );
  });
});

describe('what is refused', () => {
  const faults: [string, Record<string, string>, string, RegExp][] = [
    [
      'text that is not JSON',
      { chat_history: 'secret words' },
      'ERR_LEGACY_UNREADABLE',
      /session:abc field chat_history: not JSON/,
    ],
    ['NaN', { corememory: '{"a":NaN,"b":"secret"}' }, 'ERR_LEGACY_UNREADABLE', /field corememory: not JSON/],
    [
      'an object as first generation',
      { history: '{"secret":[]}' },
      'ERR_LEGACY_UNREADABLE',
      /field history: not a list/,
    ],
    ['a number as history', { chat_history: '7' }, 'ERR_LEGACY_UNREADABLE', /neither a list nor threads/],
    ['a list as context', { corememory: '["secret"]' }, 'ERR_LEGACY_UNREADABLE', /field corememory: not an object/],
    ['a thread that is none', { chat_history: '{"secret":{}}' }, 'ERR_LEGACY_UNREADABLE', /thread 0: not a list/],
    [
      'an entry that is none',
      { history: '[{"role":"user","content":"secret"},"secret"]' },
      'ERR_LEGACY_UNREADABLE',
      /entry 1: an entry is not/,
    ],
    [
      'an entry without a role',
      { history: '[{"content":"secret"}]' },
      'ERR_LEGACY_UNREADABLE',
      /entry 0: an entry without a role/,
    ],
    [
      'deep nesting',
      { corememory: `{"secret":${'['.repeat(65)}${']'.repeat(65)}}` },
      'ERR_LEGACY_TOO_LARGE',
      /nested deeper than 64/,
    ],
    [
      'a huge entry',
      { history: '[{"role":"user","content":"","secret":"xxxxxxxxxx"}]' },
      'ERR_LEGACY_TOO_LARGE',
      /beside the text/,
    ],
    ['many threads', { chat_history: '{"a":[],"b":[],"c":[]}' }, 'ERR_LEGACY_TOO_LARGE', /3 of 2 threads/],
  ];
  for (const [name, hash, code, reason] of faults) {
    test(name, () => {
      const fault = refused(hash, { maxExtrasLength: 30, maxThreads: 2 });
      assert.equal(fault.code, code);
      assert.match(fault.reason, reason);
      assert.doesNotMatch(fault.reason, /secret/);
    });
  }

  test('more turns in all than a call may have', () => {
    const said = (text: string) => JSON.stringify(Array.from({ length: 3 }, () => ({ role: 'user', content: text })));
    const keys = [
      { key: 'session:abc', hash: { chat_history: said('secret') } },
      { key: 'session:media_abc', hash: { chat_history: said('other') } },
    ];
    assert.equal(convert(keys, { maxTurns: 6 }).conversation?.history.length, 6);
    assert.throws(() => convert(keys, { maxTurns: 5 }), { code: 'ERR_LEGACY_TOO_LARGE', message: /abc: 6 of 5 turns/ });
    assert.equal(refused({ history: said('secret') }, { maxTurns: 2 }).code, 'ERR_LEGACY_TOO_LARGE');
  });
});

describe('bounds without loss', () => {
  test('a text of a megabyte becomes parts that are the text again, and no character is cut', () => {
    const text = `${'x'.repeat(32_767)}😀${'y'.repeat(1_000_000)}`;
    const { history, outbox } = converted({ history: JSON.stringify([{ role: 'user', content: text }]) });
    assert.equal(history.map((each) => each.text).join(''), text);
    assert.ok(history.every((each) => each.text.length <= 32_768 && each.text.isWellFormed()));
    assert.deepEqual(
      history.map(({ legacy }) => [legacy?.part, legacy?.parts]),
      history.map((_, at) => [at + 1, history.length]),
    );
    assert.equal(outbox.length, history.length);
  });

  test('a context that is too large keeps its small members, and the archive gets the large ones whole', () => {
    const latency = { runs: Array.from({ length: 40_000 }, (_, at) => ({ at, dur: at / 3 })) };
    const { context, outbox } = converted({ corememory: JSON.stringify({ active_agent: 'Desk', latency }) });
    assert.equal(context.active_agent, 'Desk');
    assert.equal('latency' in context, false);
    assert.ok(JSON.stringify(context).length <= LEGACY_LIMITS.maxContextLength);
    assert.equal(outbox.map(({ body }) => body.text).join(''), JSON.stringify(latency));
    assert.deepEqual(
      outbox.map(({ id }) => id),
      [...outbox.map(({ id }) => id)].sort(),
    );
  });

  test('a number that a double cannot hold keeps its digits', () => {
    const { context } = converted({ corememory: '{"account":12345678901234567890,"small":12}' });
    assert.deepEqual(context, { account: '12345678901234567890', small: 12 });
  });
});
