import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { ringId } from '../../contract/ids.ts';
import { EVENT_GRID_KEY, type ListenerWorker, startListenerWorker, TOPIC } from '../../test/support/listener_worker.ts';
import { startTokenIssuer, type TokenIssuer } from '../../test/support/token_issuer.ts';

const caller = { kind: 'phoneNumber', rawId: '4:+15550001', phoneNumber: { value: '+15550001' } };

function incomingCall(
  changes: Record<string, unknown> = {},
  data: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    id: 'e1',
    eventType: 'Microsoft.Communication.IncomingCall',
    topic: TOPIC,
    subject: '/caller/x/recipient/y',
    dataVersion: '1.0',
    data: {
      to: { kind: 'communicationUser', rawId: '8:acs:to', communicationUser: { id: '8:acs:to' } },
      from: caller,
      serverCallId: 'srv-1',
      incomingCallContext: 'context-1',
      correlationId: 'corr-1',
      ...data,
    },
    ...changes,
  };
}

describe('Event Grid deliveries', () => {
  let issuer: TokenIssuer;
  let worker: ListenerWorker;
  const send = (body: unknown, headers: Record<string, string> = { 'x-rtvoice-key': EVENT_GRID_KEY }) =>
    fetch(`${worker.publicUrl}/p/local/front/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const count = (result: string) => worker.metric('rtvoice_webhook_events_total', { source: 'eventGrid', result });

  before(async () => {
    issuer = await startTokenIssuer();
    worker = await startListenerWorker({ issuer });
  });
  beforeEach(() => {
    worker.host.rings.length = 0;
    worker.host.ringOutcome = async () => 'accepted';
  });
  after(async () => {
    await worker.close();
    await issuer.close();
  });

  test('a ring reaches the host with the fields an answer needs', async () => {
    const answer = await send([incomingCall()]);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('uwebsockets'), null);
    assert.deepEqual(worker.host.rings, [
      {
        v: 1,
        ringId: ringId('corr-1', 'context-1'),
        correlationId: 'corr-1',
        incomingCallContext: 'context-1',
        from: '4:+15550001',
        to: '8:acs:to',
        serverCallId: 'srv-1',
      },
    ]);
  });

  test('the handshake of both schemas', async () => {
    const validation = {
      id: 'v1',
      eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
      topic: TOPIC.toUpperCase(),
      data: { validationCode: 'code-1' },
    };
    const answer = await send([validation]);
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), { validationResponse: 'code-1' });

    const options = await fetch(`${worker.publicUrl}/p/local/front/events`, {
      method: 'OPTIONS',
      headers: { 'WebHook-Request-Origin': 'eventgrid.azure.net', 'WebHook-Request-Rate': '120' },
    });
    assert.equal(options.status, 200);
    assert.equal(options.headers.get('webhook-allowed-origin'), 'eventgrid.azure.net');
    assert.equal(options.headers.get('webhook-allowed-rate'), '*');
    for (const headers of [{}, { 'WebHook-Request-Origin': 'a b<script>' }]) {
      assert.equal(
        (await fetch(`${worker.publicUrl}/p/local/front/events`, { method: 'OPTIONS', headers })).status,
        400,
      );
    }
  });

  test('a CloudEvent that comes alone, as the CloudEvents schema sends it', async () => {
    const { eventType, topic, ...rest } = incomingCall();
    const answer = await send({ ...rest, specversion: '1.0', type: eventType, source: topic });
    assert.equal(answer.status, 200);
    assert.equal(worker.host.rings.length, 1);
  });

  test('bad neighbours lose nothing', async () => {
    const [malformedBefore, ignoredBefore, foreignBefore] = [
      await count('malformed'),
      await count('ignored'),
      await count('foreignTopic'),
    ];
    const answer = await send([
      null,
      'text',
      incomingCall({}, { incomingCallContext: 7 }),
      incomingCall({ data: [] }),
      incomingCall({ eventType: 'Microsoft.Communication.SMSReceived' }),
      incomingCall({ topic: '/subscriptions/other' }, { correlationId: 'foreign' }),
      incomingCall({}, { from: undefined, serverCallId: undefined, correlationId: 'good' }),
    ]);
    assert.equal(answer.status, 200);
    assert.deepEqual(
      worker.host.rings.map(({ correlationId }) => correlationId),
      ['good'],
    );
    assert.equal((await count('malformed')) - malformedBefore, 4);
    assert.equal((await count('ignored')) - ignoredBefore, 1);
    assert.equal((await count('foreignTopic')) - foreignBefore, 1);
  });

  test('a wrong key is 401 before anything is read, a wrong topic 403, no JSON 400', async () => {
    for (const headers of [{}, { 'x-rtvoice-key': 'wrong' }, { 'x-rtvoice-key': `${EVENT_GRID_KEY} x` }]) {
      assert.equal((await send('{not json', headers as Record<string, string>)).status, 401);
    }
    assert.equal((await send([incomingCall({ topic: '/subscriptions/other' })])).status, 403);
    assert.equal((await send([incomingCall({ topic: undefined, source: undefined })])).status, 403);
    const answer = await send('{not json');
    assert.equal(answer.status, 400);
    assert.equal(((await answer.json()) as { code: string }).code, 'ERR_BODY_INVALID');
    assert.equal(worker.host.rings.length, 0);
    assert.equal((await send([incomingCall()], { 'x-rtvoice-key': 'event-grid-key-number-two' })).status, 200);
  });

  test('trouble of ours is 503, so that Event Grid comes again', async () => {
    worker.host.ringOutcome = async (ring) => (ring.correlationId === 'b' ? 'unavailable' : 'accepted');
    assert.equal(
      (await send([incomingCall({}, { correlationId: 'a' }), incomingCall({}, { correlationId: 'b' })])).status,
      503,
    );
    worker.host.ringOutcome = async (ring) => {
      if (ring.correlationId === 'b') throw new Error('a fault');
      return 'accepted';
    };
    const before = [await count('accepted'), await count('unavailable')] as const;
    assert.equal(
      (await send([incomingCall({}, { correlationId: 'b' }), incomingCall({}, { correlationId: 'a' })])).status,
      503,
    );
    assert.deepEqual([await count('accepted'), await count('unavailable')], [before[0] + 1, before[1] + 1]);
  });

  test('other pools, other paths and other methods', async () => {
    for (const path of [
      '/',
      '/p/local/back/events',
      '/p/other/front/events',
      '/p/local/front/events/',
      '/metrics',
      '/livez',
      '/drain',
    ]) {
      assert.equal((await fetch(worker.publicUrl + path, { method: 'POST', body: '[]' })).status, 404, path);
    }
    assert.equal((await fetch(`${worker.publicUrl}/p/local/front/events`)).status, 405);
  });
});
