import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { silentLog } from '../../platform/log.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { systemRandom } from '../../platform/random.ts';
import { EntraCredentials } from '../../state/redis/entra_credentials.ts';
import { keySlot } from '../../state/redis/slot.ts';
import { eventually } from '../support/redis.ts';
import { startCluster, type TestCluster } from '../support/redis_cluster.ts';
import { killConnections, OBJECT_ID, setPassword, TestIdentity } from '../support/redis_identity.ts';
import { CallTraffic, openClient, sample } from '../support/redis_traffic.ts';

const HOUR_MS = 3_600_000;

let cluster: TestCluster;

/** A client with tokens of Entra, its calls in progress, and the clock of the tokens. */
async function begin(t: TestContext, prefix: string) {
  const clock = new ManualClock();
  const identity = new TestIdentity();
  await setPassword(cluster.nodes, OBJECT_ID, identity.issue(clock.wallMs() + HOUR_MS));
  const credentials = new EntraCredentials({
    ...{ credential: identity, objectId: undefined, clock, random: systemRandom, log: silentLog },
    registry: createRegistry({ processMetrics: false }),
  });
  t.after(() => credentials.close());
  const { client, registry } = openClient('Cluster', cluster.url, { credentials });
  t.after(() => client.close());
  await client.ready();
  await eventually('all shards answer', () => client.breakerStates.every((state) => state === 'closed'));
  const ids = Array.from({ length: 9 }, (_, index) => `${prefix}-${index}`);
  const traffic = new CallTraffic(client, 'Cluster', ids);
  t.after(() => traffic.stop());
  await traffic.confirmed(50);
  /** The servers take a new token only, and the client renews. */
  const rotate = async () => {
    const token = identity.issue(clock.wallMs() + 2 * HOUR_MS);
    await setPassword(cluster.nodes, OBJECT_ID, token);
    const renewed = 'rtvoice_redis_authentications_total{result="ok"}';
    const before = await sample(registry, renewed);
    clock.advance(HOUR_MS - 3 * 60_000);
    await eventually('every live connection has the new token', async () => {
      return (await sample(registry, renewed)) >= before + client.protocols.length;
    });
    return token;
  };
  return { client, registry, traffic, rotate, ids };
}

describe('a Redis Cluster with Microsoft Entra ID', () => {
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('renews the token on live connections without a cut, and uses it when they are killed', async (t) => {
    const { client, registry, traffic, rotate } = await begin(t, 'rotate');
    const downs: string[] = [];
    client.on('down', () => downs.push('down'));
    await rotate();
    await traffic.confirmed(50);
    assert.deepEqual(downs, []);
    assert.equal(await sample(registry, 'rtvoice_redis_authentications_total{result="failed"}'), 0);
    await killConnections(cluster.nodes, OBJECT_ID);
    await traffic.confirmed(100);
    await eventually('all shards answer', () => client.breakerStates.every((state) => state === 'closed'));
    const outage = await traffic.finish();
    t.diagnostic(`rotation and kill: ${JSON.stringify(outage)}`);
  });

  it('gives the new token to a node that joins later, and to a replica that takes over', async (t) => {
    const { client, traffic, rotate, ids } = await begin(t, 'join');
    const token = await rotate();
    const joined = await cluster.join((node) => setPassword([node], OBJECT_ID, token));
    const moved = `{${ids[0]}}`;
    await cluster.move([keySlot(moved)], await cluster.masterOf(moved), joined);
    await traffic.confirmed(100);
    await eventually('the new node serves', () => client.servers.some((server) => server.endsWith(`:${joined.port}`)));
    assert.equal(await client.command('SET', moved, 'x', 'PX', 60_000), 'OK');

    await cluster.settled();
    const old = await cluster.masterOf('{other}');
    const lost = new Promise((resolve) => client.once('down', () => resolve(undefined)));
    await old.kill();
    t.after(() => old.restart());
    await lost;
    await cluster.failedOver('{other}', old);
    await eventually('the replica serves', () => client.command('SET', '{other}', 'x', 'PX', 60_000).then(() => true));
    const outage = await traffic.finish();
    t.diagnostic(`join and take-over: ${JSON.stringify(outage)}`);
  });
});
