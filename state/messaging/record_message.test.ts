import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ENVELOPE_VERSION } from '../envelope.ts';
import { ARCHIVE_KINDS } from '../ports.ts';
import { messageIdOf, messageOf, parseMessage } from './record_message.ts';

const record = fc.record({
  callConnectionId: fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/),
  id: fc.stringMatching(/^[A-Za-z0-9._~-]{1,128}$/),
  kind: fc.constantFrom(...ARCHIVE_KINDS),
  header: fc.constantFrom(
    { v: ENVELOPE_VERSION, alg: 'none' },
    { v: ENVELOPE_VERSION, alg: 'A256GCM', kid: 'k', extra: { kept: true } },
  ),
  body: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.jsonValue()),
});

test('a record comes back as it went, members of later releases included', () => {
  fc.assert(
    fc.property(record, (sent) => {
      const { body, sessionId = '', applicationProperties = {} } = messageOf(sent);
      const parsed = parseMessage({ body, sessionId, applicationProperties });
      assert.deepEqual(
        JSON.parse(JSON.stringify(parsed)),
        JSON.parse(JSON.stringify({ kind: 'record', record: sent })),
      );
      assert.ok(messageIdOf(sent).length <= 104);
    }),
  );
});

test('what cannot be a record is unreadable, what is of a newer release is held', () => {
  const good = { sessionId: 'call', applicationProperties: { kind: 'turn', recordId: 'turn-000001' } };
  const bodyOf = (value: unknown) => Buffer.from(JSON.stringify(value));
  const kinds = [
    parseMessage({ ...good, body: bodyOf({ v: ENVELOPE_VERSION, alg: 'none', body: {} }) }),
    parseMessage({ ...good, body: bodyOf({ v: ENVELOPE_VERSION + 1, alg: 'none', body: {} }) }),
    parseMessage({ ...good, body: Buffer.from('{') }),
    parseMessage({ ...good, body: 'text' }),
    parseMessage({ ...good, body: bodyOf({}), applicationProperties: { kind: 'song', recordId: 'x' } }),
    parseMessage({ body: bodyOf({}), applicationProperties: good.applicationProperties }),
  ].map(({ kind }) => kind);
  assert.deepEqual(kinds, ['record', 'held', 'unreadable', 'unreadable', 'unreadable', 'unreadable']);
});
