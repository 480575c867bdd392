import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { after, before, describe, it, type TestContext } from 'node:test';
import { createLog } from '../../platform/log.ts';
import { defineScript } from '../../state/redis/script.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault_proxy.ts';
import { eventually, redisCli, startRedis, type TestRedis } from '../support/redis.ts';
import { CallTraffic, openClient, sample } from '../support/redis_traffic.ts';

const countUp = defineScript({
  name: 'countUp',
  keys: ['total'],
  lua: `
local total = redis.call('INCR', totalKey)
redis.call('PEXPIRE', totalKey, 60000)
return 'total ' .. total`,
});

let redis: TestRedis;

/** A client behind a proxy, and the messages of its log. */
async function begin(t: TestContext, more: Parameters<typeof openClient>[2] = {}) {
  await redisCli(redis.port, 'FLUSHALL');
  const proxy = await startFaultProxy({ port: redis.port });
  t.after(() => proxy[Symbol.asyncDispose]());
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push((JSON.parse(String(chunk)) as { msg: string }).msg);
      done();
    },
  });
  const log = createLog({ process: 'test', level: 'info', destination });
  const { client, registry } = openClient('Standalone', `redis://127.0.0.1:${proxy.port}`, { log, ...more });
  t.after(() => client.close());
  await client.ready();
  return { proxy, client, registry, lines };
}

function breakers(registry: Parameters<typeof sample>[0], state: string): Promise<number> {
  return sample(registry, `rtvoice_redis_breakers{role="fastFail",state="${state}"}`);
}

/** Nothing comes back any more; resolves once a reply has been swallowed. */
function halfOpen(proxy: FaultProxy): { swallowed: Promise<unknown> } {
  return {
    swallowed: new Promise((resolve) => {
      proxy.add({ type: 'timeout', stream: 'downstream', onSwallow: resolve });
    }),
  };
}

describe('the circuit breaker', () => {
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis[Symbol.asyncDispose]());

  it('opens at the first unanswered command, refuses at once without sending, and closes by itself', async (t) => {
    const { proxy, client, registry, lines } = await begin(t);
    assert.equal(await breakers(registry, 'closed'), 1);
    const events: string[] = [];
    for (const event of ['up', 'down'] as const) client.on(event, () => events.push(event));
    const { swallowed } = halfOpen(proxy);
    await assert.rejects(client.run(countUp, ['total'], []), { code: 'ERR_REDIS_TIMEOUT' });
    await swallowed;
    assert.equal(await breakers(registry, 'open'), 1);
    const refused = await Promise.allSettled(Array.from({ length: 6000 }, () => client.run(countUp, ['total'], [])));
    const codes = refused.map((each) => (each.status === 'rejected' ? each.reason.code : 'sent'));
    // All in one turn: were they queued, the bound of the queue would refuse some by another name.
    assert.deepEqual(new Set(codes), new Set(['ERR_REDIS_UNAVAILABLE']));
    assert.equal(await redisCli(redis.port, 'GET', 'total'), '1');
    assert.ok(client.inFlight <= 1, `${client.inFlight} in flight`);
    proxy.clear();
    await eventually('it closes', () => client.available);
    assert.equal(await client.run(countUp, ['total'], []), 'total 2');
    assert.deepEqual(events, ['down', 'up']);
    assert.deepEqual(lines, ['Redis is available', 'Redis is unavailable', 'Redis is available']);
  });

  it('opens for a server that is too slow, and closes when it is fast again', async (t) => {
    const { proxy, client, registry } = await begin(t);
    const remove = proxy.add({ type: 'latency', stream: 'downstream', latencyMs: 400 });
    await assert.rejects(client.command('GET', 'x'), { code: 'ERR_REDIS_TIMEOUT' });
    await assert.rejects(client.command('GET', 'x'), { code: 'ERR_REDIS_UNAVAILABLE' });
    assert.equal(await breakers(registry, 'closed'), 0);
    remove();
    await eventually('it closes', () => client.available);
    assert.equal(await client.command('GET', 'x'), null);
  });

  it('comes back from resets and refused connections', async (t) => {
    const { proxy, client } = await begin(t);
    proxy.refuse();
    proxy.reset();
    await eventually('it is lost', () => !client.available);
    await assert.rejects(client.command('GET', 'x'), { code: 'ERR_REDIS_UNAVAILABLE' });
    proxy.accept();
    await eventually('it is back', () => client.available);
    assert.equal(await client.command('GET', 'x'), null);
  });
});

describe('a proxy before shards (Enterprise)', () => {
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis[Symbol.asyncDispose]());

  it('is an ordinary server to the client, with the key layout of slots', async (t) => {
    const { client } = openClient('Enterprise', redis.url);
    t.after(() => client.close());
    await client.ready();
    const traffic = new CallTraffic(client, 'Enterprise', ['enterprise-1', 'enterprise-2']);
    t.after(() => traffic.stop());
    await traffic.confirmed(20);
    await traffic.finish();
    const keys = (await redisCli(redis.port, 'KEYS', '*')).split('\n');
    assert.ok(keys.length > 0 && keys.every((key) => /\{enterprise-\d\}/.test(key)), `${keys}`);
  });
});

describe('replies that are cut', () => {
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis[Symbol.asyncDispose]());

  it('never apply a script twice', async (t) => {
    const { proxy, client } = await begin(t);
    proxy.add({ type: 'cutReply', stream: 'downstream', matches: (bytes) => bytes.includes('total 1\r\n') });
    await assert.rejects(client.run(countUp, ['total'], []), { code: 'ERR_REDIS_UNAVAILABLE' });
    await eventually('it is back', () => client.available);
    assert.equal(await client.run(countUp, ['total'], []), 'total 2');
  });

  it('a patient command that is cut fails too, and one that waits is sent once', async (t) => {
    const { proxy, client } = await begin(t, { role: 'patient', limits: { commandTimeoutMs: 1500 } });
    proxy.add({ type: 'cutReply', stream: 'downstream', matches: (bytes) => bytes.includes('total 1\r\n') });
    await assert.rejects(client.run(countUp, ['total'], []), { code: 'ERR_REDIS_UNAVAILABLE' });
    await eventually('it is back', () => client.available);
    proxy.refuse();
    proxy.reset();
    await eventually('it is lost', () => !client.available);
    const waiting = client.run(countUp, ['total'], []);
    proxy.accept();
    assert.equal(await waiting, 'total 2');
  });

  it('lose and double no turn of a call', async (t) => {
    const { proxy, client } = await begin(t);
    const traffic = new CallTraffic(client, 'Standalone', ['cut-1', 'cut-2', 'cut-3']);
    t.after(() => traffic.stop());
    for (let cut = 0; cut < 8; cut++) {
      await traffic.confirmed(10);
      await new Promise<void>((onCut) => {
        // Replies of checkpoints: `written`, in small pieces.
        const matches = (bytes: Buffer) => bytes.includes('written');
        proxy.add({ type: 'cutReply', stream: 'downstream', matches, onCut });
      });
    }
    await traffic.confirmed(10);
    const outage = await traffic.finish();
    t.diagnostic(JSON.stringify(outage));
    assert.ok((outage.failures.ERR_REDIS_UNAVAILABLE ?? 0) >= 8);
  });

  it('mean nothing when they only come in pieces', async (t) => {
    const { proxy, client } = await begin(t);
    proxy.add({ type: 'slicer', stream: 'downstream', sizeBytes: 7 });
    proxy.add({ type: 'slicer', stream: 'upstream', sizeBytes: 5 });
    const values = Array.from({ length: 20 }, (_, index) => `value ${index} `.repeat(index));
    for (const [index, value] of values.entries()) await client.command('SET', `k${index}`, value, 'PX', 60_000);
    const read = await Promise.all(values.map((_, index) => client.command('GET', `k${index}`)));
    assert.deepEqual(read, values);
  });
});
