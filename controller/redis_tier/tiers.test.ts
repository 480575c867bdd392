import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { silentLog } from '../../platform/log.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { seededRandom } from '../../platform/random.ts';
import { type ArmSimulator, startArm } from '../../simulators/arm/server.ts';
import { ensureCertificateAuthority } from '../../simulators/ca.ts';
import { type Leases, openLeases } from '../../test/support/leases.ts';
import { aSpec } from '../../test/support/pool_views.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import type { ActuationRecord, TierSpec } from './ports.ts';
import { RedisTiers } from './tiers.ts';

const ID = '/subscriptions/s1/resourceGroups/voice/providers/Microsoft.Cache/redisEnterprise/calls';
const SKUS = ['Balanced_B5', 'Balanced_B10', 'Balanced_B20'];
const TURNS_MAX = 20_000;

/** From figures of a real Redis to a change by the simulated Azure Resource Manager. */
describe('a pool whose Redis is enlarged in Azure', () => {
  let dir: string;
  let redis: TestRedis;
  let connection: Leases;
  let arm: ArmSimulator;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rtvoice-tiers-'));
    const authority = await ensureCertificateAuthority(dir);
    setDefaultCACertificates([...getCACertificates('default'), await readFile(authority.caFile, 'utf8')]);
    arm = await startArm({
      ...{ tls: await authority.server(['127.0.0.1']), resources: [{ id: ID, sku: 'Balanced_B5' }], skus: SKUS },
      ...{ polls: 3, verifyToken: async (token: string) => token === 'controller' },
    });
    redis = await startRedis();
    connection = await openLeases(redis.url);
    const used = Number(/used_memory:(\d+)/.exec(await connection.client.command<string>('INFO', 'memory'))?.[1]);
    await connection.client.command('CONFIG', 'SET', 'maxmemory', Math.round(used / 0.75));
  });
  after(async () => {
    await connection.close();
    await redis[Symbol.asyncDispose]();
    await arm.stop();
    await rm(dir, { recursive: true });
  });

  function controller(store: { record?: ActuationRecord }) {
    const clock = new ManualClock();
    const tiers = new RedisTiers({
      ...{ clock, random: seededRandom(1), log: silentLog, registry: createRegistry({ processMetrics: false }) },
      armEndpoint: arm.url,
      credential: () => ({
        getToken: async () => ({ token: 'controller', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }),
      }),
    });
    const { scaleAt, shed } = aSpec().redis;
    const azure = { resourceId: ID, skus: SKUS };
    const spec: TierSpec = { scaleAt, shed, actuator: { type: 'AzureResourceManager', cooldownSeconds: 7_200, azure } };
    const tier = tiers.open({
      ...{
        pool: { namespace: 'voice', pool: 'desk' },
        spec,
        redisId: redis.url,
        redisAddress: `127.0.0.1:${redis.port}`,
        client: connection.client,
        secret: {},
      },
      remembered: store.record,
      persist: async (record) => {
        store.record = record;
      },
      onEvent: () => undefined,
    });
    return {
      tier,
      /** Lets a second pass for each turn of the event loop. */
      async until(condition: () => boolean) {
        for (let n = 0; !condition(); n++) {
          assert.ok(n < TURNS_MAX, `in vain: ${JSON.stringify(store.record)}`);
          clock.advance(1_000);
          await turn();
        }
      },
    };
  }

  it('asks once, and a successor follows the change that its predecessor began', async () => {
    const store: { record?: ActuationRecord } = {};
    const first = controller(store);
    await first.until(() => store.record?.state === 'Accepted');
    await first.tier.close();
    assert.deepEqual([store.record?.state, store.record?.holds], ['Accepted', true]);
    const second = controller(store);
    await second.until(() => store.record?.state === 'Done');
    assert.deepEqual(arm.changes, ['Balanced_B10']);
    assert.match(second.tier.finding.message, /the actuator has acted: the SKU is Balanced_B10/);
    await second.until(() => store.record?.holds === false || arm.changes.length > 1);
    await second.until(() => arm.changes.length > 1);
    assert.deepEqual(
      arm.changes,
      ['Balanced_B10', 'Balanced_B20'],
      'the need goes on after the cooldown: the next step',
    );
    await second.tier.close();
  });
});
