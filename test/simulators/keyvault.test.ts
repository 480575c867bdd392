import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClientAssertionCredential } from '@azure/identity';
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys';
import { type EntraSimulator, startEntra } from '../../simulators/entra/server.ts';
import { type KeyVaultSimulator, startKeyVault, VAULT_AUDIENCE } from '../../simulators/keyvault/server.ts';
import { makeTls, type TestTls } from '../state/tls.ts';

let directory: string;
let tls: TestTls;
let entra: EntraSimulator;
let vault: KeyVaultSimulator;
let keys: KeyClient;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rtvoice-vault-'));
  tls = await makeTls();
  entra = await startEntra({ tls, dir: directory });
  vault = await startKeyVault({
    tls,
    verifyToken: (token) => entra.verify(token, VAULT_AUDIENCE),
    authorization: `${entra.url}/${entra.env.AZURE_TENANT_ID}`,
  });
  keys = new KeyClient(vault.url, credential(), options());
});
after(async () => {
  await Promise.all([vault.stop(), entra.stop()]);
  await rm(directory, { recursive: true, force: true });
});

/** Workload identity by hand, since the standard chain would read the process's environment. */
function credential(): ClientAssertionCredential {
  const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_FEDERATED_TOKEN_FILE = '' } = entra.env;
  return new ClientAssertionCredential(
    AZURE_TENANT_ID,
    AZURE_CLIENT_ID,
    () => readFile(AZURE_FEDERATED_TOKEN_FILE, 'utf8'),
    { authorityHost: entra.url, disableInstanceDiscovery: true, tlsOptions: { ca: tls.caPem } },
  );
}

function options(more: { maxRetries?: number } = {}) {
  return {
    disableChallengeResourceVerification: true,
    tlsOptions: { ca: tls.caPem },
    retryOptions: { maxRetries: more.maxRetries ?? 3, retryDelayInMs: 10 },
  };
}

const crypto = (id: string, more: { maxRetries?: number } = {}) =>
  new CryptographyClient(id, credential(), options(more));
const made = async (name: string) => {
  const { id } = await keys.createRsaKey(name);
  assert.ok(id !== undefined);
  return id;
};

test('a key wraps and unwraps, by the SDK and over TLS, and another key does not unwrap it', async () => {
  const [id, other] = [await made('wraps'), await made('other')];
  assert.match(id, new RegExp(`^${vault.url}/keys/wraps/[0-9a-f]{32}$`));
  const secret = randomBytes(32);
  const { result, keyID } = await crypto(id).wrapKey('RSA-OAEP-256', secret);
  assert.equal(keyID, id);
  assert.equal(result.length, 256);
  assert.deepEqual(Buffer.from((await crypto(id).unwrapKey('RSA-OAEP-256', result)).result), secret);
  await assert.rejects(crypto(other).unwrapKey('RSA-OAEP-256', result), { statusCode: 400, code: 'BadParameter' });
});

test('what has no token for the vault gets the challenge, and a token for something else does not help', async () => {
  const ask = async (authorization?: string) => {
    const headers = authorization === undefined ? {} : { authorization };
    const request = get(`${vault.url}/keys/nobody?api-version=2025-07-01`, { ca: tls.caPem, headers });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    return { status: response.statusCode, challenge: response.headers['www-authenticate'] };
  };
  const bare = await ask();
  assert.equal(bare.status, 401);
  assert.equal(
    bare.challenge,
    `Bearer authorization="${entra.url}/${entra.env.AZURE_TENANT_ID}", resource="https://vault.azure.net"`,
  );
  const elsewhere = await credential().getToken('https://cosmos.azure.com/.default');
  assert.equal((await ask(`Bearer ${elsewhere.token}`)).status, 401);
  const here = await credential().getToken(`${VAULT_AUDIENCE}/.default`);
  assert.equal((await ask(`Bearer ${here.token}`)).status, 404);
});

test('a rotated key has a new version, and the old one still unwraps', async () => {
  const first = await made('rotates');
  const { result } = await crypto(first).wrapKey('RSA-OAEP-256', Buffer.from('old secret'));
  const { id: second } = await keys.rotateKey('rotates');
  assert.notEqual(second, first);
  assert.equal((await keys.getKey('rotates')).id, second);
  assert.equal(Buffer.from((await crypto(first).unwrapKey('RSA-OAEP-256', result)).result).toString(), 'old secret');
  const versions: (string | undefined)[] = [];
  for await (const each of keys.listPropertiesOfKeyVersions('rotates')) versions.push(each.id);
  assert.deepEqual(versions.sort(), [first, second].sort());
});

test('a disabled version is refused by name and serves again once enabled', async () => {
  const id = await made('disabled');
  const { result } = await crypto(id).wrapKey('RSA-OAEP-256', Buffer.from('secret'));
  const version = id.split('/').at(-1) ?? '';
  await keys.updateKeyProperties('disabled', version, { enabled: false });
  assert.equal((await keys.getKey('disabled')).properties.enabled, false);
  await assert.rejects(crypto(id).unwrapKey('RSA-OAEP-256', result), /disabled/);
  await keys.updateKeyProperties('disabled', version, { enabled: true });
  assert.equal(Buffer.from((await crypto(id).unwrapKey('RSA-OAEP-256', result)).result).toString(), 'secret');
});

test('a deleted key can be recovered, and a purged one is gone', async () => {
  const id = await made('deleted');
  const poller = await keys.beginDeleteKey('deleted', { intervalInMs: 5 });
  const deleted = await poller.pollUntilDone();
  assert.ok(deleted.properties.recoveryId?.endsWith('/deletedkeys/deleted'));
  await assert.rejects(keys.getKey('deleted'), { statusCode: 404, code: 'KeyNotFound' });
  await assert.rejects(keys.createRsaKey('deleted'), { statusCode: 409 });
  const recovering = await keys.beginRecoverDeletedKey('deleted', { intervalInMs: 5 });
  assert.equal((await recovering.pollUntilDone()).id, id);
  await (await keys.beginDeleteKey('deleted', { intervalInMs: 5 })).pollUntilDone();
  await keys.purgeDeletedKey('deleted');
  await assert.rejects(keys.getDeletedKey('deleted'), { statusCode: 404 });
});

test('throttling and an outage look as the SDK expects: retried, then told', async () => {
  const id = await made('troubled');
  const client = crypto(id);
  await client.wrapKey('RSA-OAEP-256', Buffer.from('warm'));
  vault.faults.retryAfterSeconds = 0;
  vault.faults.throttle = 2;
  await client.wrapKey('RSA-OAEP-256', Buffer.from('x'));
  assert.equal(vault.faults.throttle, 0);
  vault.faults.unavailable = 1;
  await client.wrapKey('RSA-OAEP-256', Buffer.from('x'));
  assert.equal(vault.faults.unavailable, 0);
  const impatient = crypto(id, { maxRetries: 0 });
  await impatient.wrapKey('RSA-OAEP-256', Buffer.from('warm'));
  vault.faults.throttle = 1;
  await assert.rejects(impatient.wrapKey('RSA-OAEP-256', Buffer.from('x')), { statusCode: 429, code: 'Throttled' });
  vault.faults.down = true;
  await assert.rejects(impatient.wrapKey('RSA-OAEP-256', Buffer.from('x')));
  vault.faults.down = false;
});

test('with a data file keys and their states are there again after a restart', async (t) => {
  const dataFile = join(directory, 'keys.json');
  const start = () =>
    startKeyVault({ tls, verifyToken: (token) => token === 'good', authorization: entra.url, dataFile });
  const good = { getToken: async () => ({ token: 'good', expiresOnTimestamp: Date.now() + 3_600_000 }) };
  const first = await start();
  const id = await first.createKey('kept');
  const wrapping = new CryptographyClient(id, good, options());
  const { result } = await wrapping.wrapKey('RSA-OAEP-256', Buffer.from('secret'));
  const client = new KeyClient(first.url, good, options());
  await client.createRsaKey('gone');
  await (await client.beginDeleteKey('gone', { intervalInMs: 5 })).pollUntilDone();
  await first.stop();
  assert.equal((await stat(dataFile)).mode & 0o777, 0o600);
  const second = await start();
  t.after(() => second.stop());
  const again = new CryptographyClient(id.replace(first.url, second.url), good, options());
  assert.equal(Buffer.from((await again.unwrapKey('RSA-OAEP-256', result)).result).toString(), 'secret');
  await assert.rejects(new KeyClient(second.url, good, options()).getKey('gone'), { statusCode: 404 });
});
