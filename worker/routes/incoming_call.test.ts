import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseGridEvent } from './incoming_call.ts';

const call = (data: Record<string, unknown>, changes = {}) =>
  parseGridEvent({
    eventType: 'Microsoft.Communication.IncomingCall',
    topic: 't',
    data: { incomingCallContext: 'x', correlationId: 'y', ...data },
    ...changes,
  });

test('whatever comes is judged, never thrown at', () => {
  fc.assert(
    fc.property(fc.anything(), (value) =>
      ['ring', 'validation', 'ignored', 'malformed'].includes(parseGridEvent(value).kind),
    ),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.anything()), (data) => ['ring', 'malformed'].includes(call(data).kind)),
  );
});

test('who calls: the raw id, else the number, else the user, else nobody', () => {
  const from = (identifier: unknown) => {
    const event = call({ from: identifier });
    return event.kind === 'ring' ? event.ring.from : event.kind;
  };
  assert.equal(from({ rawId: '4:+1555', phoneNumber: { value: '+1999' } }), '4:+1555');
  assert.equal(from({ phoneNumber: { value: '+1999' } }), '4:+1999');
  assert.equal(from({ communicationUser: { id: '8:acs:u' } }), '8:acs:u');
  for (const nobody of [undefined, null, 'x', {}, { rawId: 7 }]) assert.equal(from(nobody), '');
});

test('the field at fault is named, and nothing of its value', () => {
  assert.deepEqual(call({ incomingCallContext: '' }), {
    kind: 'malformed',
    topic: 't',
    field: 'data.incomingCallContext',
  });
  assert.deepEqual(call({ incomingCallContext: 'x'.repeat(65_537) }), {
    kind: 'malformed',
    topic: 't',
    field: 'data.incomingCallContext',
  });
  assert.deepEqual(call({ correlationId: 5 }), { kind: 'malformed', topic: 't', field: 'data.correlationId' });
  assert.deepEqual(call({}, { data: null }), { kind: 'malformed', topic: 't', field: 'data' });
});
