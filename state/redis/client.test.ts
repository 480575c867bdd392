import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { RedisClient } from './client.ts';
import type { RedisRole } from './options.ts';
import { defineScript } from './script.ts';

const addOnce = defineScript({
  name: 'addOnce',
  keys: ['total'],
  lua: `
local total = redis.call('INCRBY', totalKey, ARGV[1])
redis.call('PEXPIRE', totalKey, 60000)
return total`,
});

let redis: TestRedis;

function open(t: TestContext, options: { role?: RedisRole; maxInFlight?: number; url?: string } = {}) {
  const { role = 'fastFail', maxInFlight = 4096, url = redis.url } = options;
  const registry = createRegistry({ processMetrics: false });
  const client = new RedisClient({
    url,
    role,
    clock: systemClock,
    log: silentLog,
    registry,
    limits: { maxInFlight },
  });
  t.after(() => client.close());
  return { client, registry };
}

async function seen(client: RedisClient, event: 'up' | 'down', available: boolean): Promise<void> {
  if (client.available !== available) await once(client, event);
}

describe('a fast-fail client', () => {
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis[Symbol.asyncDispose]());

  it('refuses before the first connection, and serves after it', async (t) => {
    const { client } = open(t);
    await assert.rejects(client.command('GET', 'x'), { code: 'ERR_REDIS_UNAVAILABLE' });
    await client.ready();
    assert.equal(await client.command('SET', 'x', 'y', 'PX', 60_000), 'OK');
    assert.equal(await client.command('get', 'x'), 'y');
    assert.deepEqual(await client.commandBuffer('GET', 'x'), Buffer.from('y'));
    assert.equal(client.unavailableForMs, 0);
  });

  it('times a frozen server out, says so, and comes back after the thaw', async (t) => {
    const { client } = open(t);
    await client.ready();
    redis.freeze();
    const failure = await client.command('GET', 'x').catch((error: unknown) => error);
    assert.equal((failure as { code: string }).code, 'ERR_REDIS_TIMEOUT');
    assert.ok((failure as Error).cause instanceof Error);
    assert.equal(client.available, false);
    assert.ok(client.unavailableForMs > 0);
    redis.thaw();
    await seen(client, 'up', true);
    assert.equal(await client.command('PING'), 'PONG');
  });

  it('never applies a command twice when its reply is lost', async (t) => {
    // Between client and server: the first reply to an increment is thrown away together with the connection.
    let cuts = 0;
    const proxy = createServer((near) => {
      const far = connect(redis.port, '127.0.0.1');
      const end = () => [near, far].map((socket) => socket.destroy());
      near.pipe(far).on('error', end).on('close', end);
      near.on('error', end).on('close', end);
      far.on('data', (reply) => {
        if (cuts > 0 || !reply.includes(':4242\r\n')) return near.write(reply);
        cuts += 1;
        return end();
      });
    }).listen(0, '127.0.0.1');
    t.after(() => proxy.close());
    await once(proxy, 'listening');
    const { client } = open(t, { url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}` });
    await client.ready();
    await client.command('SET', 'n', 4241, 'PX', 60_000);
    await assert.rejects(client.command('INCR', 'n'), { code: 'ERR_REDIS_UNAVAILABLE' });
    await seen(client, 'up', true);
    assert.equal(await client.command('GET', 'n'), '4242');
    assert.equal(cuts, 1);
  });

  it('tells down and up around a restart, and loads scripts again', async (t) => {
    const { client } = open(t);
    await client.ready();
    assert.equal(await client.run(addOnce, ['total'], [2]), 2);
    const down = once(client, 'down');
    await redis.stop();
    await down;
    await assert.rejects(client.run(addOnce, ['total'], [2]), { code: 'ERR_REDIS_UNAVAILABLE' });
    await redis.restart();
    await seen(client, 'up', true);
    assert.equal(await client.run(addOnce, ['total'], [3]), 3);
    await client.command('SCRIPT', 'FLUSH');
    assert.equal(await client.run(addOnce, ['total'], [4]), 7);
  });

  it('names what the server refuses, and stays available', async (t) => {
    const { client } = open(t);
    await client.ready();
    await client.command('SET', 'text', 'a', 'PX', 60_000);
    await assert.rejects(client.command('LPUSH', 'text', 'b'), { code: 'ERR_REDIS_COMMAND' });
    await client.command('CONFIG', 'SET', 'maxmemory', '1mb');
    await assert.rejects(client.command('SET', 'more', 'b', 'PX', 60_000), { code: 'ERR_REDIS_FULL' });
    await client.command('CONFIG', 'SET', 'maxmemory', '0');
    assert.equal(client.available, true);
  });

  it('refuses more commands than may be in flight', async (t) => {
    const { client } = open(t, { maxInFlight: 2 });
    await client.ready();
    const results = await Promise.allSettled([1, 2, 3].map(() => client.command('PING')));
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
      ['ok', 'ok', 'ERR_REDIS_OVERLOADED'],
    );
  });

  it('counts commands by operation and result', async (t) => {
    const { client, registry } = open(t);
    await client.ready();
    await client.run(addOnce, ['total'], [1]);
    await client.command('LPUSH', 'total', 'b').catch(() => undefined);
    const text = await registry.metrics();
    assert.match(text, /rtvoice_redis_commands_total\{op="addOnce",result="ok"\} 1/);
    assert.match(text, /rtvoice_redis_commands_total\{op="lpush",result="error"\} 1/);
    assert.match(text, /rtvoice_redis_command_duration_seconds_count\{op="addOnce"\} 1/);
    assert.match(text, /rtvoice_redis_unavailable_seconds 0/);
  });
});

describe('a patient client', () => {
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis[Symbol.asyncDispose]());

  it('waits for the server to come back', async (t) => {
    const { client } = open(t, { role: 'patient' });
    await client.ready();
    const down = once(client, 'down');
    await redis.stop();
    await down;
    const waiting = client.command('SET', 'late', 'yes', 'PX', 60_000);
    await redis.restart();
    assert.equal(await waiting, 'OK');
  });
});
