import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeRecord, ENVELOPE_VERSION, encodeRecord, parseEnvelope } from './envelope.ts';

const ref = { kind: 'session', id: 'call-1' } as const;

test('every body comes back as it was, unknown fields included', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (body) => {
      const plain = JSON.parse(JSON.stringify(body));
      assert.deepEqual(decodeRecord(ref, encodeRecord(plain)), plain);
    }),
  );
});

test('what stands beside the body travels along', () => {
  const text = JSON.stringify({ v: ENVELOPE_VERSION, alg: 'A256GCM', kid: 'k1', body: { text: 'sealed' } });
  assert.deepEqual(parseEnvelope(ref, text), {
    header: { v: ENVELOPE_VERSION, alg: 'A256GCM', kid: 'k1' },
    body: { text: 'sealed' },
  });
});

test('each fault has its name, and none quotes the content', () => {
  const cases: [string, string][] = [
    ['secret words', 'ERR_RECORD_UNREADABLE'],
    ['"secret words"', 'ERR_RECORD_UNREADABLE'],
    ['{"alg":"none","body":{}}', 'ERR_RECORD_UNREADABLE'],
    ['{"v":1,"body":{}}', 'ERR_RECORD_UNREADABLE'],
    ['{"v":1,"alg":"none","body":["secret words"]}', 'ERR_RECORD_UNREADABLE'],
    ['{"v":1.5,"alg":"none","body":{}}', 'ERR_RECORD_UNREADABLE'],
    [`{"v":${ENVELOPE_VERSION + 1},"alg":"none","body":{"text":"secret words"}}`, 'ERR_RECORD_VERSION_UNKNOWN'],
    ['{"v":0,"alg":"none","body":{}}', 'ERR_RECORD_VERSION_UNKNOWN'],
    ['{"v":1,"alg":"A256GCM","body":{"text":"secret words"}}', 'ERR_RECORD_SEALED'],
  ];
  for (const [text, code] of cases) {
    assert.throws(
      () => decodeRecord(ref, text),
      (error: Error & { code: string }) =>
        error.code === code && !`${error.message} ${String(error.cause)}`.includes('secret'),
      text,
    );
  }
});
