import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Azure, startAzure } from '../../simulators/azure.ts';
import { FarEnd, trust, until } from './far_end.ts';

const RING_MS = 1_500;
const dir = mkdtempSync(join(tmpdir(), 'rtvoice-rings-'));
let azure: Azure;

before(async () => {
  azure = await startAzure({
    dir,
    eventGridKey: 'a-key-of-the-test-0001',
    timings: { ringMs: RING_MS, redeliveryMs: 200 },
  });
  trust(azure);
});
after(async () => {
  await azure.stop();
  rmSync(dir, { recursive: true });
});

const HANG_UP = [{ kind: 'pause' as const, ms: 60 }, { kind: 'hangUp' as const }];

for (const schema of ['eventGrid', 'cloudEvents'] as const) {
  test(`the subscription is validated once before the first event: ${schema}`, async () => {
    const farEnd = await FarEnd.start(azure);
    const calls = [1, 2].map(() => azure.placeCall({ ringUrl: farEnd.ringUrl, schema, script: HANG_UP }));
    const records = await Promise.all(calls.map((call) => call.done));
    assert.deepEqual(farEnd.handshakes, [schema]);
    assert.deepEqual(
      records.map(({ outcome }) => outcome),
      ['answered', 'answered'],
    );
    const [ring] = farEnd.rings;
    assert.equal(ring?.headers['aeg-event-type'], 'Notification');
    assert.equal(ring?.headers['x-rtvoice-key'], 'a-key-of-the-test-0001');
    const [event] = ring?.events ?? [];
    assert.equal(schema === 'eventGrid' ? event?.topic : event?.source, azure.env.RTVOICE_EVENTGRID_TOPIC);
    assert.equal(schema === 'eventGrid' ? event?.eventType : event?.type, 'Microsoft.Communication.IncomingCall');
    await farEnd.stop();
  });
}

test('an event that met a 503 comes again, the same one, and the call is answered', async () => {
  const farEnd = await FarEnd.start(azure, { ringStatus: (attempt) => (attempt <= 2 ? 503 : 200) });
  const record = await azure.placeCall({ ringUrl: farEnd.ringUrl, script: HANG_UP }).done;
  assert.deepEqual(
    record.ringAttempts.map(({ status }) => status),
    [503, 503, 200],
  );
  assert.equal(new Set(farEnd.rings.map(({ events }) => events[0]?.id)).size, 1);
  assert.equal(record.outcome, 'answered');
  await farEnd.stop();
});

for (const status of [400, 401, 403, 413]) {
  test(`an event that met a ${status} is dropped`, async () => {
    const farEnd = await FarEnd.start(azure, { ringStatus: () => status });
    const record = await azure.placeCall({ ringUrl: farEnd.ringUrl, script: HANG_UP }).done;
    assert.equal(record.outcome, 'notAnswered');
    assert.deepEqual(
      record.ringAttempts.map((attempt) => attempt.status),
      [status],
    );
    await farEnd.stop();
  });
}

test('a duplicate ring and a second answer: one is accepted, the other gets 409 with code 8519', async () => {
  const farEnd = await FarEnd.start(azure, { answerAlone: false });
  const script = [{ kind: 'pause' as const, ms: 600_000 }];
  const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script, faults: { duplicateRing: true } });
  await until(() => farEnd.rings.length === 2, 'both rings are there');
  const results = await Promise.allSettled([1, 2, 3].map(() => farEnd.answer(call.incomingCallContext)));
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    assert.equal(result.reason.statusCode, 409);
    assert.equal(result.reason.code, '8519');
  }
  await call.hangUp();
  assert.equal(call.record.answers, 1);
  assert.equal(call.record.refusedAnswers, 2);
  await farEnd.stop();
});

test('after the ring time an answer gets 404 with code 8522', async () => {
  const farEnd = await FarEnd.start(azure, { answerAlone: false });
  const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script: HANG_UP });
  const record = await call.done;
  assert.equal(record.outcome, 'notAnswered');
  await assert.rejects(farEnd.answer(call.incomingCallContext), { statusCode: 404, code: '8522' });
  await farEnd.stop();
});

test('several calls in one delivery', async () => {
  const farEnd = await FarEnd.start(azure);
  const request = { ringUrl: farEnd.ringUrl, script: HANG_UP };
  const records = await Promise.all(azure.placeBatch([request, request, request]).map((call) => call.done));
  assert.equal(farEnd.rings.length, 1);
  assert.equal(farEnd.rings[0]?.events.length, 3);
  assert.deepEqual(
    records.map(({ outcome }) => outcome),
    ['answered', 'answered', 'answered'],
  );
  await farEnd.stop();
});

test('reject and redirect end the call unanswered', async () => {
  const farEnd = await FarEnd.start(azure, { answerAlone: false });
  const calls = [1, 2].map(() => azure.placeCall({ ringUrl: farEnd.ringUrl, script: HANG_UP }));
  await until(() => farEnd.rings.length === 2, 'both ring');
  await farEnd.client.rejectCall(calls[0]?.incomingCallContext ?? '', { callRejectReason: 'busy' });
  await farEnd.client.redirectCall(calls[1]?.incomingCallContext ?? '', {
    targetParticipant: { phoneNumber: '+15550123' },
  });
  const [rejected, redirected] = await Promise.all(calls.map((call) => call.done));
  assert.deepEqual([rejected?.outcome, rejected?.rejectReason], ['rejected', 'busy']);
  assert.deepEqual([redirected?.outcome, redirected?.redirectedTo], ['redirected', '+15550123']);
  await farEnd.stop();
});

test('a transferred call that comes back rings with the same correlation id and another context', async () => {
  const farEnd = await FarEnd.start(azure);
  const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script: [{ kind: 'waitForHangUp' }] });
  await until(() => farEnd.types().includes('CallConnected'), 'it is connected');
  await farEnd.connections[0]?.transferCallToParticipant({ phoneNumber: '+15550177' });
  const record = await call.done;
  assert.equal(record.disconnectedBy, 'transfer');
  assert.equal(record.transferredTo, '+15550177');
  assert.deepEqual(farEnd.types().slice(-2), ['CallTransferAccepted', 'CallDisconnected']);
  const back = call.transferBack({ script: HANG_UP });
  const second = await back.done;
  assert.equal(second.outcome, 'answered');
  assert.equal(second.correlationId, record.correlationId);
  assert.notEqual(back.incomingCallContext, call.incomingCallContext);
  assert.notEqual(second.callConnectionId, record.callConnectionId);
  await farEnd.stop();
});
