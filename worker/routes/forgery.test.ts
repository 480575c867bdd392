import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { systemClock } from '../../platform/clock.ts';
import { createCallTokens } from '../../security/call_tokens.ts';
import {
  CALL_REF,
  cloudEvent,
  dial,
  type ListenerWorker,
  MEDIA_HEADERS,
  startListenerWorker,
} from '../../test/support/listener_worker.ts';
import { startTokenIssuer, type TokenIssuer } from '../../test/support/token_issuer.ts';

const OTHER_REF = 'zyxwvutsrq9876543210';
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const nowSeconds = () => Math.floor(Date.now() / 1000);

describe('forged credentials against the real listener', () => {
  let issuer: TokenIssuer;
  let worker: ListenerWorker;

  before(async () => {
    issuer = await startTokenIssuer();
    worker = await startListenerWorker({ issuer });
    worker.host.world.own(CALL_REF, worker.host.worker, worker.internalUrl);
  });
  after(async () => {
    await worker.close();
    await issuer.close();
  });

  /** Each JWT that must be refused, and the failure it must count as. */
  const jwts: [name: string, kind: string, make: () => Promise<string>][] = [
    ['no token', 'jwt_missing', async () => ''],
    ['not a JWT', 'jwt_malformed', async () => 'abc'],
    ['alg none', 'jwt_algorithm', async () => `${encode({ alg: 'none' })}.${(await issuer.token()).split('.')[1]}.`],
    [
      'HS256 signed with the public key',
      'jwt_algorithm',
      async () => {
        const text = `${encode({ alg: 'HS256', kid: 'k1' })}.${(await issuer.token()).split('.')[1]}`;
        return `${text}.${createHmac('sha256', await issuer.publicPem('k1'))
          .update(text)
          .digest('base64url')}`;
      },
    ],
    ['another RSA algorithm, by a good key', 'jwt_algorithm', () => issuer.token({ algorithm: 'RS512' })],
    ['another audience', 'jwt_claims', () => issuer.token({ claims: { aud: 'another-resource' } })],
    ['another issuer', 'jwt_claims', () => issuer.token({ claims: { iss: 'https://evil.example' } })],
    ['not valid yet', 'jwt_claims', () => issuer.token({ claims: { nbf: nowSeconds() + 600 } })],
    ['expired', 'jwt_expired', () => issuer.token({ expiresAt: nowSeconds() - 61 })],
    ['without an expiry', 'jwt_claims', () => issuer.token({ expiresAt: null })],
    ['unknown key', 'jwt_unknown_key', () => issuer.token({ keyId: 'not-published' })],
    [
      'signed by another key under a known id',
      'jwt_signature',
      async () => {
        const [, payload, signature] = (await issuer.token({ keyId: 'other' })).split('.');
        return `${encode({ alg: 'RS256', kid: 'k1' })}.${payload}.${signature}`;
      },
    ],
    [
      'changed payload',
      'jwt_signature',
      async () => {
        const [header, payload = '', signature] = (await issuer.token()).split('.');
        const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
        return `${header}.${encode({ ...claims, exp: nowSeconds() + 9_999_999 })}.${signature}`;
      },
    ],
    ['truncated', 'jwt_signature', async () => (await issuer.token()).slice(0, -40)],
    ['longer than any token', 'jwt_malformed', async () => `${await issuer.token()}${'A'.repeat(8200)}`],
  ];

  for (const [name, kind, make] of jwts) {
    test(`JWT: ${name}`, async () => {
      const before = await worker.metric('rtvoice_auth_failures_total', { kind });
      const authorization = `Bearer ${await make()}`;
      const { callbackUrl, transportUrl } = worker.urls();
      assert.equal((await post(callbackUrl, { authorization })).status, 401);
      assert.equal(await dial(transportUrl, { authorization, ...MEDIA_HEADERS }), 401);
      assert.equal((await worker.metric('rtvoice_auth_failures_total', { kind })) - before, 2);
      assert.equal(worker.host.events.length, 0);
      assert.equal(worker.host.media.length, 0);
    });
  }

  const foreign = createCallTokens({ keys: ['a key that this pool does not hold'], clock: systemClock });
  const bound = { tag: 'local.front', callRef: CALL_REF, expiresAtMs: Date.now() + 60_000 } as const;
  /** Each call token that must be refused. */
  const tokens: [name: string, kind: string, make: () => string][] = [
    ['none', 'call_token_missing', () => ''],
    ['noise', 'call_token_malformed', () => 'x'.repeat(60)],
    [
      "another call's",
      'call_token_signature',
      () => worker.security.callTokens.issue({ ...bound, callRef: OTHER_REF }),
    ],
    ["another pool's", 'call_token_signature', () => worker.security.callTokens.issue({ ...bound, tag: 'local.back' })],
    ['of a key we do not hold', 'call_token_unknown_key', () => foreign.issue(bound)],
    [
      'expired',
      'call_token_expired',
      () => worker.security.callTokens.issue({ ...bound, expiresAtMs: Date.now() - 61_000 }),
    ],
    ['truncated', 'call_token_malformed', () => worker.security.callTokens.issue(bound).slice(0, -1)],
    [
      'with a later expiry written in',
      'call_token_signature',
      () => {
        const [version, key, , mac] = worker.security.callTokens.issue(bound).split('.');
        return [version, key, 'zzzzzz', mac].join('.');
      },
    ],
  ];

  for (const [name, kind, make] of tokens) {
    test(`call token: ${name}`, async () => {
      const before = await worker.metric('rtvoice_auth_failures_total', { kind });
      const authorization = `Bearer ${await issuer.token()}`;
      const { callbackUrl, transportUrl } = worker.urls(CALL_REF, make());
      assert.equal((await post(callbackUrl, { authorization })).status, 401);
      assert.equal(await dial(transportUrl, { authorization, ...MEDIA_HEADERS }), 401);
      assert.equal((await worker.metric('rtvoice_auth_failures_total', { kind })) - before, 2);
      assert.equal(worker.host.events.length, 0);
      assert.equal(worker.host.media.length, 0);
    });
  }

  test('a refusal does not wait for the body', async () => {
    const { pathname, search, port } = new URL(worker.urls().callbackUrl);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(
      `POST ${pathname}${search} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc\r\nContent-Length: 1000\r\n\r\n`,
    );
    let text = '';
    for await (const chunk of socket) text += chunk;
    assert.match(text, /^HTTP\/1\.1 401 /);
  });

  test('the right credentials pass, for events and media', async () => {
    const authorization = `Bearer ${await issuer.token()}`;
    const { callbackUrl, transportUrl } = worker.urls();
    assert.equal((await post(callbackUrl, { authorization })).status, 200);
    assert.equal(worker.host.events.length, 1);
    const socket = await dial(transportUrl, { authorization, ...MEDIA_HEADERS });
    assert.ok(socket instanceof WebSocket);
    socket.terminate();
  });

  test('media without the ids of the connection: 400; of a call that is unknown: 404', async () => {
    const authorization = `Bearer ${await issuer.token()}`;
    assert.equal(await dial(worker.urls().transportUrl, { authorization }), 400);
    assert.equal(await dial(worker.urls(OTHER_REF).transportUrl, { authorization, ...MEDIA_HEADERS }), 404);
  });

  test('an issuer that cannot be reached: tokens of known keys pass, else 503 and never 401', async () => {
    const fresh = await startTokenIssuer();
    const other = await startListenerWorker({ issuer: fresh });
    other.host.world.own(CALL_REF, other.host.worker, other.internalUrl);
    fresh.setDown(true);
    const authorization = `Bearer ${await fresh.token()}`;
    const { callbackUrl, transportUrl } = other.urls();
    assert.equal((await post(callbackUrl, { authorization })).status, 503);
    assert.equal(await dial(transportUrl, { authorization, ...MEDIA_HEADERS }), 503);
    assert.equal(await other.metric('rtvoice_auth_failures_total', { kind: 'jwt_keys_unavailable' }), 2);
    await other.close();
    await fresh.close();

    issuer.setDown(true);
    assert.equal(
      (await post(worker.urls().callbackUrl, { authorization: `Bearer ${await issuer.token()}` })).status,
      200,
    );
    issuer.setDown(false);
  });
});

function post(url: string, headers: Record<string, string>): Promise<Response> {
  return fetch(url, { method: 'POST', headers, body: JSON.stringify([cloudEvent('CallConnected', 'e1')]) });
}
