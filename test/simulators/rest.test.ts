import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CallAutomationClient } from '@azure/communication-call-automation';
import { type Azure, startAzure } from '../../simulators/azure.ts';
import { FarEnd, sdkClient, trust, until } from './far_end.ts';

const dir = mkdtempSync(join(tmpdir(), 'rtvoice-rest-'));
const LONG = [{ kind: 'waitForHangUp' as const, timeoutMs: 600_000 }];
let azure: Azure;
let farEnd: FarEnd;

before(async () => {
  azure = await startAzure({ dir });
  trust(azure);
  farEnd = await FarEnd.start(azure, { answerAlone: false });
});
after(async () => {
  await azure.stop();
  await farEnd.stop();
  rmSync(dir, { recursive: true });
});

async function connected() {
  const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script: LONG });
  const connection = await farEnd.answer(call.incomingCallContext);
  await until(() => call.record.callbacks.some(({ type }) => type === 'CallConnected'), 'connected');
  return { call, connection };
}

test('an access key signs requests, another one is refused with 401', async () => {
  const { call, connection } = await connected();
  const properties = await connection.getCallConnectionProperties();
  assert.equal(properties.callConnectionId, call.callConnectionId);
  assert.equal(properties.callConnectionState, 'connected');
  assert.equal(properties.correlationId, call.record.correlationId);
  const wrong = sdkClient(azure, Buffer.from('another key').toString('base64'));
  const refused = wrong.getCallConnection(call.callConnectionId ?? '').hangUp(true);
  await assert.rejects(refused, { statusCode: 401, code: '7509' });
  assert.equal(call.record.disconnectedBy, undefined);
  await call.hangUp();
});

const CHILD = `
import { CallAutomationClient } from '@azure/communication-call-automation';
import { DefaultAzureCredential } from '@azure/identity';
const client = new CallAutomationClient(process.env.RTVOICE_ACS_ENDPOINT, new DefaultAzureCredential());
await client.getCallConnection(process.argv[1]).hangUp(true);
`;

test('a process with the environment alone hangs a call up by workload identity', async () => {
  const { call } = await connected();
  const before = azure.entra.issued;
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const args = ['--input-type=module', '-e', CHILD, call.callConnectionId ?? ''];
  await promisify(execFile)(process.execPath, args, { cwd: root, env: { PATH: process.env.PATH, ...azure.env } });
  assert.equal((await call.done).disconnectedBy, 'worker');
  assert.equal(azure.entra.issued, before + 1);
});

test('a token of nobody, and one for another audience, get 401', async () => {
  const other = await fetchToken('https://cosmos.azure.com/.default');
  for (const token of ['a.b.c', other]) {
    const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 600_000 }) };
    const client = new CallAutomationClient(azure.acs.url, credential);
    await assert.rejects(client.getCallConnection('x').hangUp(true), { statusCode: 401 });
  }
});

test('a federated token of another issuer gets no access token', async () => {
  const response = await tokenRequest('https://communication.azure.com/.default', other());
  assert.equal(response.status, 401);
  assert.match(await response.text(), /AADSTS700213/);
});

test('without api-version the answer is 400', async () => {
  const token = await fetchToken('https://communication.azure.com/.default');
  const url = `${azure.acs.url}/calling/callConnections/x`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(response.status, 400);
  assert.match(await response.text(), /api-version/);
});

test('an answer whose reply was lost is repeated by the SDK and accepted once', async () => {
  const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script: LONG });
  azure.acs.faults.replyLost = 1;
  const connection = await farEnd.answer(call.incomingCallContext);
  assert.equal((await connection.getCallConnectionProperties()).callConnectionId, call.callConnectionId);
  assert.equal(call.record.answers, 1);
  assert.equal(call.record.refusedAnswers, 0);
  await call.hangUp();
});

test('429 and 503 are tried again by the SDK', async () => {
  const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script: LONG });
  Object.assign(azure.acs.faults, { throttle: 1, unavailable: 1 });
  await farEnd.answer(call.incomingCallContext);
  assert.equal(call.record.answers, 1);
  assert.deepEqual([azure.acs.faults.throttle, azure.acs.faults.unavailable], [0, 0]);
  await call.hangUp();
});

test('actions outside the established state get 400 with 8501, unknown calls 404 with 8522', async () => {
  const { call, connection } = await connected();
  await connection.hangUp(true);
  await call.done;
  await assert.rejects(connection.getCallMedia().startMediaStreaming(), { statusCode: 400, code: '8501' });
  await assert.rejects(connection.getCallConnectionProperties(), { statusCode: 404, code: '8522' });
  await assert.rejects(farEnd.client.getCallConnection('nobody').hangUp(true), { statusCode: 404, code: '8522' });
});

test('hangUp(false), participants, hold, DTMF out and play answer as the SDK expects', async () => {
  const { call, connection } = await connected();
  const media = connection.getCallMedia();
  const { values } = await connection.listParticipants();
  assert.equal(values?.length, 1);
  await connection.addParticipant({ targetParticipant: { communicationUserId: '8:acs:someone' } });
  await until(() => call.record.callbacks.some(({ type }) => type === 'AddParticipantSucceeded'), 'added');
  assert.equal((await connection.listParticipants()).values?.length, 2);
  await connection.removeParticipant({ communicationUserId: '8:acs:someone' });
  await media.hold({ communicationUserId: '8:acs:x' });
  await media.unhold({ communicationUserId: '8:acs:x' });
  await media.sendDtmfTones(['one'], { communicationUserId: '8:acs:x' });
  await media.playToAll([{ kind: 'textSource', text: 'hello' }]);
  await until(() => call.record.callbacks.some(({ type }) => type === 'PlayCompleted'), 'played');
  assert.ok(call.record.callbacks.some(({ type }) => type === 'SendDtmfTonesCompleted'));
  await connection.hangUp(false);
  assert.equal((await call.done).disconnectedBy, 'worker');
});

test('what is not covered says so', async () => {
  const { call, connection } = await connected();
  const recognising = connection.getCallMedia().startTranscription({ locale: 'en-US' });
  await assert.rejects(recognising, { statusCode: 501, code: 'NotCovered' });
  await call.hangUp();
});

const other = () => Buffer.from('{}').toString('base64url');

async function fetchToken(scope: string): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  const assertion = await readFile(azure.env.AZURE_FEDERATED_TOKEN_FILE ?? '', 'utf8');
  const response = await tokenRequest(scope, assertion);
  return ((await response.json()) as { access_token: string }).access_token;
}

function tokenRequest(scope: string, assertion: string): Promise<Response> {
  const { AZURE_AUTHORITY_HOST: host, AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client = '' } = azure.env;
  const body = new URLSearchParams({
    ...{ grant_type: 'client_credentials', client_id: client, scope, client_assertion: assertion },
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  });
  return fetch(`${host}${tenant}/oauth2/v2.0/token`, { method: 'POST', body });
}
