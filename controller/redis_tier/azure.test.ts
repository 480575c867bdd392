import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { DefaultAzureCredential } from '@azure/identity';
import { seededRandom } from '../../platform/random.ts';
import { type ArmOptions, type ArmSimulator, startArm } from '../../simulators/arm/server.ts';
import { type CertificateAuthority, ensureCertificateAuthority } from '../../simulators/ca.ts';
import { type EntraSimulator, startEntra } from '../../simulators/entra/server.ts';
import { JumpClock } from '../../test/support/jump_clock.ts';
import { ArmClient } from './arm_client.ts';
import { AzureActuator } from './azure.ts';
import type { ScaleRequest } from './ports.ts';

const ID =
  '/subscriptions/e7b5a9d2-6b6a-4d2f-9143-20d9a10f5b8f/resourceGroups/voice/providers/Microsoft.Cache/redisEnterprise/calls';
const SKUS = ['Balanced_B5', 'Balanced_B10', 'Balanced_B20'];
const REQUEST: ScaleRequest = {
  key: 'key-1',
  pool: { namespace: 'voice', pool: 'desk' },
  needs: ['memory'],
  load: { memory: 74, clients: 1, operations: 1 },
  thresholds: { memory: 70, clients: 80, operations: 10_000 },
  atMs: 0,
};

describe('the actuator by Azure Resource Manager', () => {
  let dir: string;
  let authority: CertificateAuthority;
  let entra: EntraSimulator;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rtvoice-arm-'));
    authority = await ensureCertificateAuthority(join(dir, 'ca'));
    setDefaultCACertificates([...getCACertificates('default'), await readFile(authority.caFile, 'utf8')]);
    entra = await startEntra({ tls: await authority.server(['127.0.0.1']), dir });
    Object.assign(process.env, entra.env);
  });
  after(async () => {
    await entra.stop();
    await rm(dir, { recursive: true });
  });

  interface World {
    arm: ArmSimulator;
    clock: JumpClock;
    accepted: string[];
    sku(): string | undefined;
    scaleUp(): ReturnType<AzureActuator['scaleUp']>;
    resume(): ReturnType<AzureActuator['resume']>;
  }

  async function world(options: Partial<ArmOptions>, act: (world: World) => Promise<void>, skus = SKUS) {
    const arm = await startArm({
      tls: await authority.server(['127.0.0.1']),
      verifyToken: (token, audience) => entra.verify(token, audience),
      resources: [{ id: ID, sku: 'Balanced_B5' }],
      skus: [...SKUS, 'Balanced_B1'],
      ...options,
    });
    const clock = new JumpClock();
    const actuator = new AzureActuator({
      ...{ resourceId: ID, skus, endpoint: arm.url, clock, random: seededRandom(1), timeoutMs: 2_000 },
      credential: new DefaultAzureCredential({ disableInstanceDiscovery: true, retryOptions: { maxRetries: 0 } }),
    });
    const accepted: string[] = [];
    const run = { signal: new AbortController().signal, onAccepted: (text: string) => void accepted.push(text) };
    try {
      await act({
        ...{ arm, clock, accepted },
        sku: () => arm.resources.get(ID.toLowerCase())?.sku.name,
        scaleUp: () => actuator.scaleUp(REQUEST, run),
        resume: () => actuator.resume(REQUEST, run),
      });
    } finally {
      await actuator.close();
      await arm.stop();
    }
  }

  for (const style of ['azureAsyncOperation', 'location', 'resource'] as const) {
    it(`takes the next SKU and follows the change to its end (${style})`, () =>
      world({ style }, async ({ arm, scaleUp, sku, accepted }) => {
        assert.deepEqual(await scaleUp(), { kind: 'done', message: 'the SKU is Balanced_B10' });
        assert.equal(sku(), 'Balanced_B10');
        assert.deepEqual(accepted, ['from Balanced_B5 to Balanced_B10']);
        assert.deepEqual(arm.changes, ['Balanced_B10'], 'one step, asked for once');
      }));
  }

  it('waits as long as Retry-After says between two looks', () =>
    world({ polls: 3 }, async ({ arm, scaleUp, clock }) => {
      arm.faults.retryAfterSeconds = 120;
      await scaleUp();
      assert.equal(arm.requests.get('GET operationsStatus'), 4);
      assert.ok(clock.monotonicMs() >= 4 * 120_000, `${clock.monotonicMs()} ms`);
    }));

  it('never makes it smaller, and stops at the largest', async () => {
    const wrongOrder = ['Balanced_B5', 'Balanced_B1'];
    for (const [skus, says] of [
      [wrongOrder, /Balanced_B1 is smaller than Balanced_B5/],
      [['Balanced_B5'], /the largest/],
      [['Balanced_B10', 'Balanced_B20'], /Balanced_B5 is not in spec/],
    ] as const) {
      await world(
        {},
        async ({ arm, scaleUp }) => {
          const outcome = await scaleUp();
          assert.equal(outcome.kind, 'refused');
          assert.match(outcome.message, says);
          assert.deepEqual(arm.changes, []);
        },
        [...skus],
      );
    }
  });

  it('puts no second change on one that is under way, and finishes that', () =>
    world({ polls: 3 }, async ({ arm, scaleUp, resume, sku }) => {
      arm.faults.replyLost = 1;
      assert.equal((await scaleUp()).kind, 'done', 'the lost answer is found again');
      assert.deepEqual([arm.changes, sku()], [['Balanced_B10'], 'Balanced_B10']);
      assert.deepEqual(await resume(), { kind: 'done', message: 'the SKU is Balanced_B10' });
      assert.equal(arm.changes.length, 1, 'resume asks for nothing');
      const first = scaleUp();
      while (arm.changes.length < 2) await turn();
      const asked = arm.requests.get('PATCH resource');
      assert.deepEqual(await scaleUp(), { kind: 'done', message: 'the SKU is Balanced_B20' });
      await first;
      assert.equal(arm.requests.get('PATCH resource'), asked, 'nothing was asked for on top');
      assert.deepEqual(arm.changes, ['Balanced_B10', 'Balanced_B20']);
    }));

  it('waits while somebody else changes it, while it is throttled and while it is away', () =>
    world({}, async ({ arm, scaleUp, sku }) => {
      Object.assign(arm.faults, { conflict: 2, throttle: 2, unavailable: 1 });
      assert.equal((await scaleUp()).kind, 'done');
      assert.equal(sku(), 'Balanced_B10');
      arm.faults.conflict = 100;
      const busy = await scaleUp();
      assert.equal(busy.kind, 'failed');
      assert.match(busy.message, /409 Conflict Another operation/);
      arm.faults.conflict = 0;
      arm.faults.unavailable = 100;
      assert.match((await scaleUp()).message, /it cannot be read: 503/);
    }));

  it('says which right is missing', () =>
    world({}, async ({ arm, scaleUp }) => {
      arm.faults.forbidden = true;
      const outcome = await scaleUp();
      assert.equal(outcome.kind, 'refused');
      assert.match(outcome.message, /403 AuthorizationFailed.*give the identity of the controller a role/);
      assert.equal(arm.requests.get('PATCH resource'), 1);
    }));

  it('follows the resource itself where operations may not be read', () =>
    world({ polls: 3 }, async ({ arm, scaleUp }) => {
      arm.faults.statusForbidden = true;
      assert.deepEqual(await scaleUp(), { kind: 'done', message: 'the SKU is Balanced_B10' });
    }));

  for (const style of ['azureAsyncOperation', 'location', 'resource'] as const) {
    it(`tells why a change has failed (${style})`, () =>
      world({ style }, async ({ arm, scaleUp, sku }) => {
        arm.faults.failure = { code: 'SkuNotAvailable', message: 'no room in this region' };
        const outcome = await scaleUp();
        assert.equal(outcome.kind, 'failed');
        assert.match(outcome.message, style === 'resource' ? /the resource says Failed/ : /SkuNotAvailable: no room/);
        assert.equal(sku(), 'Balanced_B5');
      }));
  }

  it('gives up a change that does not end', () =>
    world({ polls: 1_000_000 }, async ({ arm, scaleUp }) => {
      arm.faults.retryAfterSeconds = 300;
      const outcome = await scaleUp();
      assert.equal(outcome.kind, 'failed');
      assert.match(outcome.message, /did not end within 180 minutes/);
    }));

  it('sends its token nowhere else, whatever URL an answer names', async () => {
    const arm = new ArmClient({
      ...{ resourceId: ID, endpoint: 'https://127.0.0.1:1', clock: new JumpClock(), random: seededRandom(1) },
      credential: { getToken: () => assert.fail('a token was asked for') },
    });
    const { signal } = new AbortController();
    for (const url of ['https://elsewhere.example/status', 'https://127.0.0.1:2/status', 'no url']) {
      assert.deepEqual(await arm.follow(url, signal), { kind: 'none', code: 'ERR_FOREIGN_URL' });
    }
    await arm.close();
  });

  it('refuses what it cannot find, and tells when there is no token', async () => {
    await world({ resources: [] }, async ({ scaleUp }) => {
      const outcome = await scaleUp();
      assert.equal(outcome.kind, 'refused');
      assert.match(outcome.message, /404 ResourceNotFound.*resourceId/);
    });
    await world({ verifyToken: async () => false }, async ({ scaleUp }) => {
      assert.match((await scaleUp()).message, /401 InvalidAuthenticationToken.*workload identity/);
    });
    entra.faults.down = true;
    await world({}, async ({ scaleUp }) => {
      const outcome = await scaleUp();
      assert.equal(outcome.kind, 'failed');
      assert.match(outcome.message, /Entra ID gives no token/);
    });
    entra.faults.down = false;
  });
});
