import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { silentLog } from '../../platform/log.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { seededRandom } from '../../platform/random.ts';
import { OBJECT_ID, TestIdentity } from '../../test/support/redis_identity.ts';
import { EntraCredentials } from './entra_credentials.ts';
import { RENEWAL_LEAD_MS, retryTokenMs, tokenRenewalMs } from './token_times.ts';

const HOUR_MS = 3_600_000;

function begin(t: TestContext, objectId?: string) {
  const clock = new ManualClock();
  const identity = new TestIdentity();
  const registry = createRegistry({ processMetrics: false });
  const issue = () => identity.issue(clock.wallMs() + HOUR_MS);
  const open = () => {
    const source = new EntraCredentials({
      ...{ credential: identity, objectId, clock, log: silentLog, registry },
      random: seededRandom(7),
    });
    t.after(() => source.close());
    return source;
  };
  return { clock, identity, registry, issue, open };
}

test('asks for the scope of Redis, and takes the object id from the token', async (t) => {
  const { identity, issue, open } = begin(t);
  const token = issue();
  const source = open();
  assert.equal(source.current, undefined);
  await turn();
  assert.deepEqual(source.current, { user: OBJECT_ID, password: token });
  assert.deepEqual(identity.scopes, ['https://redis.azure.com/.default']);
});

test('the setting goes before the object id of the token', async (t) => {
  const { issue, open } = begin(t, 'from-the-setting');
  issue();
  const source = open();
  await turn();
  assert.equal(source.current?.user, 'from-the-setting');
});

test('renews before the last three minutes, and tells', async (t) => {
  const { clock, issue, open } = begin(t);
  issue();
  const source = open();
  await turn();
  const told: string[] = [];
  source.subscribe(({ password }) => told.push(password));
  const next = issue();
  clock.advance(HOUR_MS - 5 * 60_000);
  await turn();
  assert.deepEqual(told, []);
  clock.advance(2 * 60_000);
  await turn();
  assert.deepEqual(told, [next]);
  assert.equal(source.current?.password, next);
});

test('keeps the old token while Entra fails, tries on, and counts', async (t) => {
  const { clock, identity, registry, issue, open } = begin(t);
  const old = issue();
  const source = open();
  await turn();
  identity.fault = new Error('no answer');
  clock.advance(HOUR_MS - RENEWAL_LEAD_MS);
  await turn();
  for (let index = 0; index < 20; index++) {
    clock.advance(10_000);
    await turn();
  }
  assert.equal(source.current?.password, old);
  const text = await registry.metrics();
  const failures = Number(/renewals_total\{result="failed"\} (\d+)/.exec(text)?.[1]);
  assert.ok(failures >= 5 && failures <= 20, `${failures} failures in 200 s`);
  assert.match(text, /rtvoice_redis_token_expiry_seconds -20\b/);
  identity.fault = undefined;
  const next = issue();
  clock.advance(30_000);
  await turn();
  assert.equal(source.current?.password, next);
});

test('asks again, but not in a loop, while the identity gives the same token', async (t) => {
  const { clock, identity, issue, open } = begin(t);
  issue();
  open();
  await turn();
  clock.advance(HOUR_MS - 5 * 60_000);
  for (let index = 0; index < 30; index++) {
    clock.advance(10_000);
    await turn();
  }
  assert.ok(identity.scopes.length >= 5 && identity.scopes.length <= 20, `${identity.scopes.length} requests`);
});

test('a token without an object id is refused until a setting names one', async (t) => {
  const { identity, open } = begin(t);
  identity.getToken = async () => ({ token: 'opaque', expiresOnTimestamp: Number.MAX_SAFE_INTEGER });
  const source = open();
  await turn();
  assert.equal(source.current, undefined);
});

test('every renewal is due at least three minutes before the end, or at half of a short life', () => {
  fc.assert(
    fc.property(fc.integer({ min: 20_000, max: 24 * HOUR_MS }), fc.integer(), (expiresInMs, seed) => {
      const dueMs = tokenRenewalMs({ expiresInMs, random: seededRandom(seed) });
      assert.ok(expiresInMs - dueMs >= Math.min(RENEWAL_LEAD_MS, expiresInMs / 2) - 1);
      assert.ok(dueMs >= 5000);
      const retryMs = retryTokenMs(1 + (Math.abs(seed) % 50), seededRandom(seed));
      assert.ok(retryMs >= 500 && retryMs <= 30_000);
    }),
  );
});
