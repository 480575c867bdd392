import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { silentLog } from '../../platform/log.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createRegistry, type Registry } from '../../platform/metrics.ts';
import { seededRandom } from '../../platform/random.ts';
import { openLeases } from '../../test/support/leases.ts';
import { aSpec } from '../../test/support/pool_views.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import type { PoolEvent } from '../pool/ports.ts';
import type { ActuationRecord } from './ports.ts';
import type { RedisTier } from './tier.ts';
import { RedisTiers } from './tiers.ts';

const COOLDOWN_S = 3_600;

/** A real Redis whose memory limit is moved, and a real receiver of webhooks. */
describe('the Redis of a pool', () => {
  let redis: TestRedis;
  let connection: Awaited<ReturnType<typeof openLeases>>;
  let receiver: Server;
  let status = 204;
  const keys: string[] = [];
  let arrived: () => void = () => undefined;

  before(async () => {
    redis = await startRedis();
    connection = await openLeases(redis.url);
    receiver = createServer((request, response) => {
      keys.push(String(request.headers['idempotency-key']));
      request.resume().on('end', () => {
        if (status > 0) response.writeHead(status).end();
        arrived();
      });
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
  });
  after(async () => {
    await connection.close();
    await redis[Symbol.asyncDispose]();
    receiver.close();
    receiver.closeAllConnections();
  });
  beforeEach(async () => {
    keys.length = 0;
    status = 204;
    await fill(10);
  });

  /** Moves the limit so that so many percent of it are used. */
  async function fill(percent: number) {
    const used = Number(/used_memory:(\d+)/.exec(await connection.client.command<string>('INFO', 'memory'))?.[1]);
    await connection.client.command('CONFIG', 'SET', 'maxmemory', Math.round((100 * used) / percent));
  }

  /** One controller term. `store` outlives it, as the status of the pool does. */
  function controller(
    store: Map<string, ActuationRecord>,
    registry: Registry = createRegistry({ processMetrics: false }),
  ) {
    const clock = new ManualClock();
    const deps = { clock, random: seededRandom(Math.floor(Math.random() * 1e9)), log: silentLog, registry };
    const tiers = new RedisTiers({ ...deps, credential: () => assert.fail('no pool needs Azure') });
    const events: PoolEvent[] = [];
    const opened: RedisTier[] = [];
    let stored = true;
    return {
      clock,
      events,
      registry,
      breakStore: (broken: boolean) => {
        stored = !broken;
      },
      open(pool: string, type: 'Webhook' | 'None' = 'Webhook') {
        const spec = aSpec().redis;
        const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
        const webhook = { url, signingKey: 'HOOK' };
        const tier = tiers.open({
          pool: { namespace: 'voice', pool },
          spec: { ...spec, actuator: { type, cooldownSeconds: COOLDOWN_S, webhook } },
          ...{
            redisId: redis.url,
            redisAddress: `127.0.0.1:${redis.port}`,
            client: connection.client,
            secret: { HOOK: 'key' },
          },
          remembered: store.get(pool),
          persist: async (record) => {
            if (!stored) throw new Error('the API server is away');
            store.set(pool, record);
          },
          onEvent: (event) => events.push(event),
        });
        opened.push(tier);
        return tier;
      },
      /** So many readings, ten seconds apart. */
      async read(times: number, tier: RedisTier) {
        for (let n = 0; n < times; n++) {
          const before = events.length;
          clock.advance(11_000);
          await tiers.readAll();
          if (events.length === before) await Promise.all(opened.map((one) => one.settled()));
        }
        await tier.settled();
      },
      stop: () => Promise.all(opened.map((tier) => tier.close())),
    };
  }

  it('asks for more once it has been over the mark for a while, and once per cooldown', async () => {
    const store = new Map<string, ActuationRecord>();
    const term = controller(store);
    const tier = term.open('desk');
    await term.read(3, tier);
    assert.deepEqual([tier.finding.status, tier.finding.reason], ['False', 'WithinMarks']);
    await fill(75);
    await term.read(2, tier);
    assert.deepEqual([tier.finding.status, keys.length], ['False', 0], 'two readings are none');
    await term.read(5, tier);
    assert.deepEqual([tier.finding.status, tier.finding.reason, keys.length], ['True', 'Memory', 1]);
    assert.match(
      tier.finding.message,
      /over 70 % of its memory.*the actuator has acted: the webhook has taken the request/,
    );
    assert.deepEqual(
      term.events.map(({ reason }) => reason),
      ['RedisScaleRequested', 'RedisScaled'],
    );
    assert.deepEqual([store.get('desk')?.state, store.get('desk')?.holds], ['Done', true]);
    term.clock.advance(COOLDOWN_S * 1000);
    await term.read(1, tier);
    assert.equal(keys.length, 2, 'the need goes on after the cooldown');
    assert.notEqual(keys[0], keys[1], 'another request, another key');
    await fill(10);
    await term.read(1, tier);
    assert.equal(tier.finding.status, 'False');
    term.clock.advance(COOLDOWN_S * 1000);
    await term.read(1, tier);
    assert.equal(store.get('desk')?.holds, false, 'its end is written down as well');
    await term.stop();
  });

  it('asks no second time after a restart of the controller', async () => {
    const store = new Map<string, ActuationRecord>();
    await fill(75);
    const first = controller(store);
    await first.read(3, first.open('desk'));
    await first.stop();
    assert.equal(keys.length, 1);
    const second = controller(store, first.registry);
    const tier = second.open('desk');
    await second.read(20, tier);
    assert.equal(keys.length, 1);
    assert.match(tier.finding.message, /the actuator has acted/);
    second.clock.advance(COOLDOWN_S * 1000);
    await second.read(1, tier);
    assert.equal(keys.length, 2, 'the whole cooldown again, and no longer');
    await second.stop();
  });

  it('goes on under the same key with a request whose end the controller did not live to see', async () => {
    const store = new Map<string, ActuationRecord>();
    await fill(75);
    status = 0;
    const first = controller(store);
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    void first.read(3, first.open('desk'));
    await arrival;
    assert.equal(store.get('desk')?.state, 'Requested', 'written down before it was sent');
    await first.stop();
    status = 204;
    const second = controller(store);
    const tier = second.open('desk');
    await tier.settled();
    assert.deepEqual([keys.length, new Set(keys).size], [2, 1], 'the receiver can tell that it is the same');
    assert.equal(store.get('desk')?.state, 'Done');
    await second.stop();
  });

  it('asks nothing while it cannot be written down', async () => {
    const store = new Map<string, ActuationRecord>();
    await fill(75);
    const term = controller(store);
    const tier = term.open('desk');
    term.breakStore(true);
    await term.read(6, tier);
    assert.equal(keys.length, 0);
    term.breakStore(false);
    await term.read(1, tier);
    assert.equal(keys.length, 1);
    await term.stop();
  });

  it('is asked for once by two pools that use it', async () => {
    const store = new Map<string, ActuationRecord>();
    await fill(75);
    const term = controller(store);
    const [desk, shop] = [term.open('desk'), term.open('shop')];
    await term.read(6, desk);
    assert.equal(keys.length, 1);
    assert.equal([desk, shop].filter(({ finding }) => finding.status === 'True').length, 2);
    assert.match(
      `${desk.finding.message} ${shop.finding.message}`,
      /which uses the same Redis, has asked for more already/,
    );
    await term.stop();
  });

  it('says that the receiver refuses, and acts on no old figures', async () => {
    const store = new Map<string, ActuationRecord>();
    await fill(75);
    status = 403;
    const term = controller(store);
    const tier = term.open('desk');
    await term.read(3, tier);
    assert.match(tier.finding.message, /the actuator refuses: the webhook answers 403/);
    assert.equal(term.events.at(-1)?.type, 'Warning');
    const metrics = await term.registry.metrics();
    assert.match(metrics, /rtvoice_redis_actuations_total\{actuator="Webhook",result="refused"\} 1/);
    assert.match(metrics, /rtvoice_redis_actuations_total\{actuator="AzureResourceManager",result="done"\} 0/);
    assert.match(metrics, /rtvoice_redis_scale_needed\{namespace="voice",pool="desk",resource="memory"\} 1/);
    assert.match(metrics, /redis_up\{redis="127\.0\.0\.1:\d+"\} 1/);
    await redis.stop();
    term.clock.advance(COOLDOWN_S * 1000);
    await term.read(3, tier);
    assert.equal(keys.length, 1);
    assert.equal(tier.finding.status, 'True', 'what was so is taken to be so');
    assert.match(tier.finding.message, /Redis tells no figures now/);
    assert.match(await term.registry.metrics(), /redis_up\{redis="127\.0\.0\.1:\d+"\} 0/);
    await redis.restart();
    await connection.client.ready();
    await term.stop();
    assert.doesNotMatch(await term.registry.metrics(), /redis_up\{|scale_needed\{/);
  });

  it('asks nobody without an actuator, and knows when workers refuse calls for it', async () => {
    const term = controller(new Map());
    const tier = term.open('desk', 'None');
    await fill(95);
    await term.read(6, tier);
    assert.deepEqual([tier.finding.status, keys.length, tier.refusesCalls], ['True', 0, true]);
    await fill(80);
    await term.read(1, tier);
    assert.equal(tier.refusesCalls, false);
    await term.stop();
  });
});
