import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { leaseOf } from '../../test/support/listener_host.ts';
import {
  CALL_REF,
  cloudEvent,
  dial,
  INTERNAL_KEY,
  type ListenerWorker,
  MEDIA_HEADERS,
  startListenerWorker,
} from '../../test/support/listener_worker.ts';
import { startTokenIssuer, type TokenIssuer } from '../../test/support/token_issuer.ts';

const GUARDED: [method: string, path: string][] = [
  ['GET', '/healthz'],
  ['GET', '/metrics'],
  ['GET', '/statusz'],
  ['POST', '/drain'],
  ['POST', '/internal/hand-off'],
  ['POST', `/internal/relay/${CALL_REF}/events`],
  ['GET', '/anything'],
];

describe('the internal listener', () => {
  let issuer: TokenIssuer;
  let worker: ListenerWorker;
  const authorization = `Bearer ${INTERNAL_KEY}`;
  const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = { authorization }) =>
    fetch(worker.internalUrl + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  before(async () => {
    issuer = await startTokenIssuer();
    let checks = 0;
    worker = await startListenerWorker({
      issuer,
      healthProviders: {
        redis_connectivity: () => ({ healthy: ++checks > 0, note: `check ${checks}` }),
        security_posture: () => {
          throw new Error('secret text');
        },
      },
    });
  });
  after(async () => {
    await worker.close();
    await issuer.close();
  });

  test('everything but the probes needs a key', async () => {
    const media = `${worker.internalUrl.replace('http', 'ws')}/internal/relay/${CALL_REF}/media`;
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: `Basic ${INTERNAL_KEY}` }]) {
      for (const [method, path] of GUARDED) {
        assert.equal(
          (await call(method, path, method === 'POST' ? {} : undefined, headers as Record<string, string>)).status,
          401,
          path,
        );
      }
      assert.equal(await dial(media, { ...MEDIA_HEADERS, ...headers } as Record<string, string>), 401);
    }
    assert.equal(
      await worker.metric('rtvoice_auth_failures_total', { kind: 'internal_key' }),
      3 * (GUARDED.length + 1),
    );
    assert.equal(
      (await call('GET', '/statusz', undefined, { authorization: 'Bearer internal-key-number-two' })).status,
      200,
    );
    assert.equal((await call('GET', '/livez', undefined, {})).status, 200);
  });

  test('ready is what the process says; unknown paths and methods', async () => {
    assert.equal((await call('GET', '/readyz', undefined, {})).status, 503);
    worker.server.setReady(true);
    assert.equal((await call('GET', '/readyz', undefined, {})).status, 200);
    assert.equal((await call('GET', '/anything')).status, 404);
    assert.equal((await call('GET', '/drain')).status, 405);
    assert.equal((await call('POST', '/livez', {})).status, 405);
  });

  test('health: the six keys, always 200, a failing check says no more than its code, and the result is kept', async () => {
    const answers = await Promise.all([call('GET', '/healthz'), call('GET', '/healthz')]);
    const [first, second] = await Promise.all(answers.map((answer) => answer.json()));
    assert.equal(answers[0]?.status, 200);
    assert.deepEqual(first, second);
    assert.deepEqual(first, {
      status: 'degraded',
      details: {
        redis_connectivity: true,
        memory_usage: true,
        key_expiration_compliance: true,
        encryption_validation: true,
        performance_baseline: true,
        security_posture: false,
      },
      notes: { redis_connectivity: 'check 1', security_posture: 'the check failed: Error' },
    });
  });

  test('metrics and status', async () => {
    const answer = await call('GET', '/metrics');
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/);
    assert.match(await answer.text(), /rtvoice_relayed_sockets 0/);
    assert.equal(((await (await call('GET', '/statusz')).json()) as { worker: string }).worker, 'front-aaaaa');
  });

  test('drain: both fields may be left out, others than numbers are refused by name', async () => {
    assert.equal((await call('POST', '/drain')).status, 202);
    assert.equal((await call('POST', '/drain', { deadlineMs: 1000, reason: 'node upgrade' })).status, 202);
    const refused = await call('POST', '/drain', { deadlineMs: -1 });
    assert.equal(refused.status, 400);
    assert.match(((await refused.json()) as { message: string }).message, /deadlineMs/);
    assert.deepEqual(worker.host.drains, [
      { deadlineMs: undefined, reason: 'requested' },
      { deadlineMs: 1000, reason: 'node upgrade' },
    ]);
  });

  test('hand-off: accepted, refused, and a bad field by its name', async () => {
    const lease = { ...leaseOf(CALL_REF, 'front-aaaaa', 1), later: 'field of a newer version' };
    assert.equal((await call('POST', '/internal/hand-off', { lease })).status, 200);
    assert.deepEqual(JSON.parse(JSON.stringify(worker.host.handOffs[0])), JSON.parse(JSON.stringify({ lease })));
    assert.equal(
      (await call('POST', '/internal/hand-off', { lease: leaseOf(CALL_REF, 'front-other', 1) })).status,
      409,
    );
    const refused = await call('POST', '/internal/hand-off', { lease: { ...lease, fence: 0 } });
    assert.equal(refused.status, 400);
    assert.match(((await refused.json()) as { message: string }).message, /lease\.fence/);
  });

  test('a relayed request is served here or not at all', async () => {
    const path = `/internal/relay/${CALL_REF}/events`;
    const media = `${worker.internalUrl.replace('http', 'ws')}/internal/relay/${CALL_REF}/media`;
    const events = [cloudEvent('CallConnected', 'e1')];
    assert.equal((await call('POST', path, events)).status, 404);
    assert.equal(await dial(media, { authorization, ...MEDIA_HEADERS }), 404);

    worker.host.world.own(CALL_REF, 'front-other', 'http://127.0.0.1:1', 7);
    const moved = await call('POST', path, events);
    assert.equal(moved.status, 421);
    assert.deepEqual(((await moved.json()) as { owner: unknown }).owner, {
      worker: 'front-other',
      incarnation: 'front-other-1',
      fence: 7,
      endpoint: 'http://127.0.0.1:1',
    });
    assert.equal(await dial(media, { authorization, ...MEDIA_HEADERS }), 421);
    assert.equal(worker.host.takeovers.length, 0);

    worker.host.world.own(CALL_REF, worker.host.worker, worker.internalUrl);
    assert.equal((await call('POST', path, events)).status, 200);
    assert.equal(worker.host.events.length, 1);
    const socket = await dial(media, { authorization, ...MEDIA_HEADERS });
    assert.ok(socket instanceof WebSocket);
    socket.terminate();
  });
});
