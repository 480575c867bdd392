import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { defineScript } from '../../state/redis/script.ts';
import { keySlot } from '../../state/redis/slot.ts';
import { startFaultProxy } from '../support/fault_proxy.ts';
import { eventually, redisCli, type TestRedis } from '../support/redis.ts';
import { startCluster, type TestCluster } from '../support/redis_cluster.ts';
import { makeServerKeys } from '../support/redis_tls.ts';
import { CallTraffic, openClient, sample } from '../support/redis_traffic.ts';

const sumOf = defineScript({
  name: 'sumOf',
  keys: ['left', 'right'],
  lua: `return redis.call('GET', leftKey) + redis.call('GET', rightKey)`,
});

const countUp = defineScript({
  name: 'countUp',
  keys: ['total'],
  lua: `
local total = redis.call('INCR', totalKey)
redis.call('PEXPIRE', totalKey, 60000)
return 'total ' .. total`,
});

let cluster: TestCluster;

function open(t: TestContext, more: Parameters<typeof openClient>[2] = {}) {
  const opened = openClient('Cluster', cluster.url, more);
  t.after(() => opened.client.close());
  return opened;
}

/** Identifiers whose keys spread over all three shards. */
function ids(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

/** Events of a client, in order. */
function recorded(client: ReturnType<typeof open>['client']): string[] {
  const events: string[] = [];
  for (const event of ['up', 'down'] as const) client.on(event, () => events.push(event));
  return events;
}

describe('a Redis Cluster', () => {
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('computes the slots that the server computes', async () => {
    const port = cluster.nodes[0]?.port ?? 0;
    for (const key of ['a', 'rtvoice:test:call:{abc}:session', '{}x', 'a{b}{c}', '{é}', 'x{', '}{y}', 'a{}{b}']) {
      assert.equal(keySlot(key), Number(await redisCli(port, 'CLUSTER', 'KEYSLOT', key)), key);
    }
  });

  it('is ready once every shard answers: a process that begins asks all of them', async (t) => {
    for (let round = 0; round < 5; round++) {
      const { client } = open(t);
      await client.ready();
      const written = ids(`ready-${round}`, 12).map((id) => client.command('SET', `{${id}}`, 'x', 'PX', 60_000));
      assert.deepEqual(new Set(await Promise.all(written)), new Set(['OK']));
    }
  });

  it('routes commands and scripts to every shard, and refuses what crosses slots by name', async (t) => {
    const { client } = open(t);
    await client.ready();
    assert.equal(client.servers.length, 3);
    for (const id of ids('route', 12)) {
      await client.command('SET', `{${id}}:left`, 40, 'PX', 60_000);
      await client.command('SET', `{${id}}:right`, 2, 'PX', 60_000);
      assert.equal(await client.run(sumOf, [`{${id}}:left`, `{${id}}:right`], []), 42);
    }
    await assert.rejects(client.run(sumOf, ['{a}:left', '{b}:right'], []), { code: /^ERR_REDIS_/ });
    assert.equal(client.available, true);
    const infos = await Promise.all(client.servers.map((server) => client.commandAt<string>(server, 'INFO', 'server')));
    assert.equal(new Set(infos.map((info) => /tcp_port:(\d+)/.exec(info)?.[1])).size, 3);
  });

  it('goes on with calls while slots move under them', async (t) => {
    const { client } = open(t);
    await client.ready();
    const calls = ids('reshard', 12);
    const traffic = new CallTraffic(client, 'Cluster', calls);
    t.after(() => traffic.stop());
    await traffic.confirmed(100);
    for (const id of calls.slice(0, 6)) {
      const slot = keySlot(`{${id}}`);
      const from = await cluster.masterOf(`{${id}}`);
      const to = await otherMaster(from);
      await cluster.move([slot], from, to);
      await eventually('the nodes agree', async () => (await cluster.masterOf(`{${id}}`)) === to);
    }
    await traffic.confirmed(100);
    const outage = await traffic.finish();
    t.diagnostic(`reshard: ${JSON.stringify(outage)}`);
  });

  it('never applies a script twice when the reply of a shard is cut', async (t) => {
    const master = await cluster.masterOf('{cut}:total');
    const proxy = await startFaultProxy({ port: master.port });
    t.after(() => proxy[Symbol.asyncDispose]());
    // From now on the shard names the proxy as its address.
    const announce = async (port: number) => {
      await redisCli(master.port, 'CONFIG', 'SET', 'cluster-announce-port', port);
      await eventually('every node has heard it', async () => {
        const views = await Promise.all(cluster.nodes.map((node) => redisCli(node.port, 'CLUSTER', 'NODES')));
        return views.every((view) => view.includes(`:${port === 0 ? master.port : port}@`));
      });
    };
    t.after(() => announce(0));
    await announce(proxy.port);
    const { client } = open(t);
    await client.ready();
    assert.ok(
      client.servers.some((server) => server.endsWith(`:${proxy.port}`)),
      `${client.servers}`,
    );
    await eventually('all shards answer', () => client.breakerStates.every((state) => state === 'closed'));
    let cuts = 0;
    const onCut = () => {
      cuts += 1;
    };
    const matches = (bytes: Buffer) => bytes.includes('total 1\r\n');
    proxy.add({ type: 'cutReply', stream: 'downstream', matches, onCut });
    await assert.rejects(client.run(countUp, ['{cut}:total'], []), { code: 'ERR_REDIS_UNAVAILABLE' });
    assert.equal(cuts, 1);
    await eventually('the shard is back', () => client.breakerStates.every((state) => state === 'closed'));
    assert.equal(await client.run(countUp, ['{cut}:total'], []), 'total 2');
  });

  for (const how of ['freeze', 'kill'] as const) {
    it(`fails over by ${how} in mid-call: only the lost shard stops, and its return is told`, async (t) => {
      await cluster.settled();
      const { client, registry } = open(t);
      await client.ready();
      const events = recorded(client);
      const lost = await cluster.masterOf('{lost}');
      const other = await keyElsewhere(lost);
      const traffic = new CallTraffic(client, 'Cluster', ids(`failover-${how}`, 9));
      t.after(() => traffic.stop());
      await traffic.confirmed(100);
      t.after(() => (how === 'freeze' ? lost.thaw() : lost.restart()));
      if (how === 'freeze') lost.freeze();
      else await lost.kill();
      await eventually('the shard is lost', () => events.includes('down'));
      assert.equal(client.available, true);
      const lostOnes = () => sample(registry, 'rtvoice_redis_breakers{role="fastFail",state="open"}');
      await eventually('it alone is lost', async () => (await lostOnes()) === 1);
      // The others go on meanwhile.
      assert.equal(await client.command('SET', other, 'x', 'PX', 60_000), 'OK');
      await assert.rejects(client.command('GET', '{lost}'), { code: 'ERR_REDIS_UNAVAILABLE' });
      await cluster.failedOver('{lost}', lost);
      await eventually('its return is told', () => events.includes('up'));
      assert.equal(await client.command('SET', '{lost}', 'back', 'PX', 60_000), 'OK');
      await traffic.confirmed(100);
      const outage = await traffic.finish();
      t.diagnostic(`${how}: ${JSON.stringify(outage)}`);
      // Owners write again after the last `up`: it may come twice while the nodes do not agree yet, but it comes last.
      assert.equal(events.filter((event) => event === 'down').length, 1);
      assert.equal(events.at(-1), 'up');
    });
  }
});

describe('a Redis Cluster as Azure Managed Redis has it', () => {
  it('is found by its name, and its nodes, which name themselves by address, are held to the certificate of that name', async (t) => {
    const keys = await makeServerKeys({ names: ['localhost'] });
    t.after(() => keys[Symbol.asyncDispose]());
    const secured = await startCluster({ tls: keys.args });
    t.after(() => secured[Symbol.asyncDispose]());
    const { client } = openClient('Cluster', secured.url, { tlsCa: keys.caPem });
    t.after(() => client.close());
    await client.ready();
    assert.equal(client.servers.length, 3);
    assert.ok(
      client.servers.every((server) => server.startsWith('127.0.0.1:')),
      `${client.servers}`,
    );
    assert.deepEqual(new Set(client.protocols), new Set(['TLSv1.3']));
    const traffic = new CallTraffic(client, 'Cluster', ids('tls', 9));
    t.after(() => traffic.stop());
    await traffic.confirmed(100);
    await traffic.finish();

    // Under another name the same certificate is not good.
    const other = openClient('Cluster', secured.url.replaceAll('localhost', '127.0.0.1'), { tlsCa: keys.caPem });
    t.after(() => other.client.close());
    await assert.rejects(other.client.ready(1500), { code: 'ERR_REDIS_CERTIFICATE' });
  });
});

async function otherMaster(than: { port: number }): Promise<TestRedis> {
  return cluster.masterOf(await keyElsewhere(than));
}

/** A key that another master serves. */
async function keyElsewhere(than: { port: number }): Promise<string> {
  for (const id of ids('probe', 50)) {
    if ((await cluster.masterOf(`{${id}}`)).port !== than.port) return `{${id}}`;
  }
  throw new Error('one master has every slot');
}
