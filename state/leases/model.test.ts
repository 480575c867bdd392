import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { LeaseRun, type Step } from '../../test/support/lease_model.ts';
import { type Leases, openLeases } from '../../test/support/leases.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';

const worker = fc.nat(2);
const call = fc.nat(7);
const ring = fc.nat(11);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('place'), ring, pack: fc.boolean(), lost: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('replace'), call }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('answer'), worker, call }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('renew'), worker }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release'), worker, call }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('grant'), taker: worker, call, stale: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('adopt'), worker, ring }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart'), worker }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('flush'),
      order: fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
      cutOff: fc.nat(5),
    }),
  },
);

describe('the lease table under any order of events', () => {
  let redis: TestRedis;
  let leases: Leases;
  before(async () => {
    redis = await startRedis();
    // Heartbeats last for the whole run; leases lapse only where a step waits for it, or when the machine is slow.
    leases = await openLeases(redis.url, { leaseMs: 150, ringingMs: 150, heartbeatMs: 60_000, unheldAfterMs: 0 });
  });
  after(async () => {
    await leases.close();
    await redis[Symbol.asyncDispose]();
  });

  it('never goes over slots, never has two owners of one fence, and counts what it holds', async () => {
    const runs = Number(process.env.RTVOICE_TEST_RUNS ?? 40);
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 40 }), async (sequence) => {
        const run = new LeaseRun(leases);
        await run.start();
        for (const step of sequence) await run.play(step);
      }),
      { numRuns: runs, endOnFailure: false },
    );
  });
});
