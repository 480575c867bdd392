import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { type Azure, type CallFaults, startAzure } from '../../simulators/azure.ts';
import { FarEnd, type FarEndOptions, trust, until } from './far_end.ts';

const dir = mkdtempSync(join(tmpdir(), 'rtvoice-callbacks-'));
let azure: Azure;

before(async () => {
  azure = await startAzure({ dir });
  trust(azure);
});
after(async () => {
  await azure.stop();
  rmSync(dir, { recursive: true });
});

/** One short call; its callbacks as the far end saw them. */
async function callbacksOf(faults: CallFaults, options: FarEndOptions = {}) {
  const farEnd = await FarEnd.start(azure, options);
  const script = [{ kind: 'pause' as const, ms: 400 }, { kind: 'hangUp' as const }];
  const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script, faults });
  await call.done;
  return { farEnd, call, types: farEnd.types() };
}

const USUAL = ['CallConnected', 'ParticipantsUpdated', 'MediaStreamingStarted', 'CallDisconnected'];

test('events come in order, each with the ids of its call', async () => {
  const { farEnd, call, types } = await callbacksOf({});
  assert.deepEqual(types, USUAL);
  for (const { data, together } of farEnd.callbacks) {
    assert.equal(data.callConnectionId, call.callConnectionId);
    assert.equal(data.correlationId, call.record.correlationId);
    assert.equal(data.serverCallId, call.serverCallId);
    assert.equal(together, 1);
  }
  assert.equal(farEnd.callbacks[0]?.data.operationContext, 'ref');
  await farEnd.stop();
});

test('each POST carries a token of its own for five minutes that the published keys verify, also after a rotation', async () => {
  const first = await callbacksOf({});
  await azure.acs.rotateKeys();
  const second = await callbacksOf({});
  const configuration = await fetch(`${azure.acs.url}/calling/.well-known/acsopenidconfiguration`);
  const { issuer, jwks_uri } = (await configuration.json()) as { issuer: string; jwks_uri: string };
  assert.equal(issuer, azure.env.RTVOICE_ACS_ISSUER);
  assert.equal(jwks_uri, azure.env.RTVOICE_ACS_JWKS_URL);
  const keys = createRemoteJWKSet(new URL(jwks_uri));
  const tokens = [...first.farEnd.callbacks, ...second.farEnd.callbacks].map(({ authorization }) =>
    String(authorization).replace('Bearer ', ''),
  );
  for (const token of tokens) {
    const audience = azure.env.RTVOICE_ACS_RESOURCE_ID ?? '';
    const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms: ['RS256'] });
    assert.equal(Number(payload.exp) - Number(payload.iat), 300);
  }
  assert.equal(new Set(tokens).size, tokens.length);
  assert.equal(new Set(tokens.map((token) => decodeProtectedHeader(token).kid)).size, 2);
  await Promise.all([first.farEnd.stop(), second.farEnd.stop()]);
});

test('twice: every event comes again with the same id', async () => {
  const { farEnd, types } = await callbacksOf({ duplicate: true });
  await until(() => farEnd.callbacks.length === 2 * USUAL.length, 'all have come');
  assert.equal(new Set(farEnd.callbacks.map(({ id }) => id)).size, USUAL.length);
  assert.ok(types.length >= USUAL.length);
  await farEnd.stop();
});

test('two events in one array, and the later one first', async () => {
  const batch = await callbacksOf({ batch: true });
  assert.deepEqual(batch.types.slice(0, 2), ['CallConnected', 'ParticipantsUpdated']);
  assert.deepEqual(
    batch.farEnd.callbacks.slice(0, 2).map(({ together }) => together),
    [2, 2],
  );
  const reordered = await callbacksOf({ reorder: true });
  assert.deepEqual(reordered.types.slice(0, 2), ['ParticipantsUpdated', 'CallConnected']);
  await Promise.all([batch.farEnd.stop(), reordered.farEnd.stop()]);
});

test('dropped events never come', async () => {
  const { farEnd, types } = await callbacksOf({ drop: ['CallConnected', 'CallDisconnected'] });
  assert.deepEqual(types, ['ParticipantsUpdated', 'MediaStreamingStarted']);
  await farEnd.stop();
});

test('late events come late, and CallDisconnected is still the last', async () => {
  const { farEnd } = await callbacksOf({ delayMs: 300 });
  await until(() => farEnd.callbacks.length === USUAL.length, 'all have come');
  assert.equal(farEnd.types().at(-1), 'CallDisconnected');
  await farEnd.stop();
});

test('an event that met a 503 comes again, one that met a 400 does not', async () => {
  const { farEnd, call } = await callbacksOf(
    {},
    {
      callbackStatus: (type, attempt) =>
        type === 'CallConnected' && attempt === 1 ? 503 : type === 'ParticipantsUpdated' ? 400 : 200,
    },
  );
  const statusesOf = (wanted: string) => call.record.callbacks.find(({ type }) => type === wanted)?.statuses;
  // The far end has seen the second attempt before its answer has come back and been noted.
  await until(() => statusesOf('CallConnected')?.length === 2, 'it comes again');
  assert.deepEqual(statusesOf('CallConnected'), [503, 200]);
  assert.deepEqual(statusesOf('ParticipantsUpdated'), [400]);
  const tokens = farEnd.callbacks
    .filter(({ type }) => type === 'CallConnected')
    .map(({ authorization }) => authorization);
  assert.equal(new Set(tokens).size, 2, 'a new token for each POST');
  await farEnd.stop();
});
