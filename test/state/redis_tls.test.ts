import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../platform/clock.ts';
import { loadConfig } from '../../platform/config.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { openRedisAccess } from '../../state/redis/access.ts';
import { RedisClient } from '../../state/redis/client.ts';
import { REDIS_SETTINGS } from '../../state/redis/settings.ts';
import { eventually, redisCli } from '../support/redis.ts';
import { killConnections, OBJECT_ID, setPassword, TestIdentity } from '../support/redis_identity.ts';
import { startTlsRedis, type TestTlsRedis } from '../support/redis_tls.ts';
import { CallTraffic, sample } from '../support/redis_traffic.ts';
import { makeTls } from './tls.ts';

let server: TestTlsRedis;
const identity = new TestIdentity();

/** A client that is set up by the environment alone, as a process sets it up. */
async function openByEnvironment(t: TestContext, env: Record<string, string>) {
  const registry = createRegistry({ processMetrics: false });
  const access = await openRedisAccess({
    config: loadConfig(REDIS_SETTINGS, env),
    ...{ tokenCredential: async () => identity, clock: systemClock, log: silentLog, registry },
  });
  t.after(() => access.credentials.close());
  const client = new RedisClient({ ...access, role: 'fastFail', clock: systemClock, log: silentLog, registry });
  t.after(() => client.close());
  return { client, registry, access };
}

describe('Redis with TLS 1.3 and ACL users', () => {
  before(async () => {
    server = await startTlsRedis();
  });
  after(() => server[Symbol.asyncDispose]());

  it('speaks TLS 1.3, keeps to its prefix, and names a key it may not touch', async (t) => {
    const rules = ['on', '>s3cret/@:', '~rtvoice:test:*', '+@all', '-@admin', '-@dangerous', '+info'];
    await redisCli(server.redis.port, 'ACL', 'SETUSER', 'limited', ...rules);
    const { client, registry, access } = await openByEnvironment(t, {
      RTVOICE_REDIS_URL: `rediss://limited:${encodeURIComponent('s3cret/@:')}@127.0.0.1:${server.tlsPort}`,
      RTVOICE_REDIS_TLS_CA_FILE: server.caFile,
    });
    await client.ready();
    assert.equal(access.layout, 'standalone');
    assert.equal(await client.command('SET', 'rtvoice:test:x', 'y', 'PX', 60_000), 'OK');
    // The audit of later tests knows no such key.
    await client.command('DEL', 'rtvoice:test:x');
    await assert.rejects(client.command('GET', 'rtvoice:prod:x'), { code: 'ERR_REDIS_DENIED' });
    await assert.rejects(client.command('FLUSHALL'), { code: 'ERR_REDIS_DENIED' });
    assert.equal(client.available, true);
    assert.deepEqual(client.protocols, ['TLSv1.3']);
    assert.equal(await sample(registry, 'rtvoice_redis_connections{tls="TLSv1.3"}'), 1);
    assert.equal(await sample(registry, 'rtvoice_redis_connections{tls="none"}'), 0);
  });

  it('takes tokens of Entra, renews them in mid-call, and comes back with the newest', async (t) => {
    await setPassword([server.redis], OBJECT_ID, identity.issue(systemClock.wallMs() + 11_000));
    const { client, registry } = await openByEnvironment(t, {
      RTVOICE_REDIS_URL: `rediss://127.0.0.1:${server.tlsPort}`,
      RTVOICE_REDIS_AUTHENTICATION: 'Entra',
      RTVOICE_REDIS_TLS_CA_FILE: server.caFile,
    });
    await client.ready();
    assert.equal(await client.command('ACL', 'WHOAMI'), OBJECT_ID);
    const traffic = new CallTraffic(client, 'Standalone', ['entra-1', 'entra-2', 'entra-3']);
    t.after(() => traffic.stop());
    await setPassword([server.redis], OBJECT_ID, identity.issue(systemClock.wallMs() + 3_600_000));
    await eventually('the token is renewed on the live connection', async () => {
      return (await sample(registry, 'rtvoice_redis_authentications_total{result="ok"}')) === 1;
    });
    assert.equal(await sample(registry, 'rtvoice_redis_token_renewals_total{result="ok"}'), 2);
    await killConnections([server.redis], OBJECT_ID);
    await eventually('it is lost', () => !client.available);
    await eventually('it is back', () => client.available);
    await traffic.confirmed(20);
    t.diagnostic(JSON.stringify(await traffic.finish()));
  });

  it('says why a user is refused', async (t) => {
    const { client } = await openByEnvironment(t, {
      RTVOICE_REDIS_URL: `rediss://limited:wrong@127.0.0.1:${server.tlsPort}`,
      RTVOICE_REDIS_TLS_CA_FILE: server.caFile,
    });
    await assert.rejects(client.ready(1000), { code: 'ERR_REDIS_DENIED' });
  });

  it('trusts only the authority it was given', async (t) => {
    const other = join(dirname(server.caFile), 'other.pem');
    await writeFile(other, (await makeTls()).caPem);
    const { client } = await openByEnvironment(t, {
      RTVOICE_REDIS_URL: `rediss://127.0.0.1:${server.tlsPort}`,
      RTVOICE_REDIS_TLS_CA_FILE: other,
    });
    await assert.rejects(client.ready(1000), { code: 'ERR_REDIS_CERTIFICATE' });
  });

  it('refuses a server that speaks TLS 1.2 only, and says so', async (t) => {
    const old = await startTlsRedis({ protocols: 'TLSv1.2' });
    t.after(() => old[Symbol.asyncDispose]());
    const { client } = await openByEnvironment(t, {
      RTVOICE_REDIS_URL: `rediss://127.0.0.1:${old.tlsPort}`,
      RTVOICE_REDIS_TLS_CA_FILE: old.caFile,
    });
    await assert.rejects(client.ready(1000), { code: 'ERR_REDIS_TLS_VERSION' });
    await assert.rejects(client.command('PING'), { code: 'ERR_REDIS_UNAVAILABLE' });
  });
});

describe('openRedisAccess', () => {
  it('refuses settings that contradict each other', async () => {
    const cases: [Record<string, string>, RegExp][] = [
      [{ RTVOICE_REDIS_URL: 'redis://h', RTVOICE_REDIS_AUTHENTICATION: 'Entra' }, /needs a rediss/],
      [{ RTVOICE_REDIS_URL: 'rediss://u:p@h', RTVOICE_REDIS_AUTHENTICATION: 'Entra' }, /takes no password/],
      [{ RTVOICE_REDIS_URL: 'redis://u:p@h', RTVOICE_REDIS_PASSWORD_FILE: '/x' }, /both give a password/],
      [{ RTVOICE_REDIS_URL: 'redis://h', RTVOICE_REDIS_USER: 'u' }, /without RTVOICE_REDIS_PASSWORD_FILE/],
      [{ RTVOICE_REDIS_URL: 'redis://h', RTVOICE_REDIS_TLS_CA_FILE: '/x' }, /is not rediss/],
      [{ RTVOICE_REDIS_URL: 'rediss://h', RTVOICE_REDIS_TLS_CA_FILE: '/no/such' }, /cannot be read \(ENOENT\)/],
    ];
    for (const [env, message] of cases) {
      const opened = openRedisAccess({
        config: loadConfig(REDIS_SETTINGS, env),
        ...{ tokenCredential: async () => identity, clock: systemClock, log: silentLog },
        registry: createRegistry({ processMetrics: false }),
      });
      await assert.rejects(opened, { code: 'ERR_REDIS_TARGET_INVALID', message });
    }
    const missing = openRedisAccess({
      config: loadConfig(REDIS_SETTINGS, { RTVOICE_REDIS_URL: 'redis://h', RTVOICE_REDIS_PASSWORD_FILE: '/no/such' }),
      ...{ tokenCredential: async () => identity, clock: systemClock, log: silentLog },
      registry: createRegistry({ processMetrics: false }),
    });
    await assert.rejects(missing, { code: 'ERR_REDIS_PASSWORD_FILE' });
  });
});
