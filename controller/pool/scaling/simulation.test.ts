import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type ModelOptions, type ModelSecond, ScalingModel } from '../../../test/support/scaling_model.ts';

const MIB = 2 ** 20;
const HOUR = 3_600;
const CALM: ModelOptions = {
  seed: 1,
  seconds: HOUR,
  slots: 20,
  minWorkers: 2,
  maxWorkers: 60,
  startDelayS: 15,
  metricsDelayS: 2,
  meanCallS: 120,
  offered: () => 60,
  redialShare: 0,
  baselineShare: 0.3,
  perCallBytes: MIB,
};

const simulate = (options: Partial<ModelOptions>): ModelSecond[] => new ScalingModel({ ...CALM, ...options }).run();

/** Every change of the number, with its direction. */
function changesOf(run: readonly ModelSecond[]): { second: number; by: number }[] {
  return run.flatMap(({ second, wanted }, index) => {
    const by = wanted - (run[index - 1]?.wanted ?? wanted);
    return by === 0 ? [] : [{ second, by }];
  });
}

function turnsOf(run: readonly ModelSecond[]): number {
  const signs = changesOf(run).map(({ by }) => Math.sign(by));
  return signs.filter((sign, index) => index > 0 && sign !== signs[index - 1]).length;
}

const seed = fc.integer({ min: 1, max: 1e6 });
const world = fc.record({
  seed,
  slots: fc.integer({ min: 10, max: 100 }),
  startDelayS: fc.integer({ min: 1, max: 60 }),
  metricsDelayS: fc.integer({ min: 0, max: 15 }),
  meanCallS: fc.integer({ min: 30, max: 300 }),
  perCallBytes: fc.integer({ min: 0, max: 4 * MIB }),
});
/** Few worlds, thousands of seconds each. The callers are random, so bounds on what they bring about hold for these worlds and most others. */
const runs = { numRuns: 12, seed: 20_260_301 };

describe('the scaling rule in a simulated pool', () => {
  it('keeps an idle pool at minWorkers whatever its idle memory is and does', () => {
    const share = fc.double({ min: 0.05, max: 0.95, noNaN: true });
    fc.assert(
      fc.property(world, share, (shape, baselineShare) => {
        const run = simulate({ ...shape, baselineShare, baselineNoiseShare: 0.1, offered: () => 0, seconds: 1_200 });
        assert.ok(run.every(({ wanted }) => wanted === 2));
      }),
      runs,
    );
  });

  it('does not go up and down under random calls of a constant rate', () => {
    fc.assert(
      fc.property(world, fc.integer({ min: 1, max: 150 }), (shape, load) => {
        const run = simulate({ ...shape, offered: () => load, seconds: 2 * HOUR });
        assert.ok(turnsOf(run) <= 3, `${turnsOf(run)} turns`);
        const late = changesOf(run).filter(({ second }) => second > HOUR);
        assert.ok(late.length <= 3, JSON.stringify(late));
      }),
      runs,
    );
  });

  it('is steady on a small pool too, where one call is much', () => {
    fc.assert(
      fc.property(seed, fc.integer({ min: 1, max: 20 }), (start, load) => {
        const run = simulate({ seed: start, slots: 4, offered: () => load, seconds: 2 * HOUR });
        assert.ok(turnsOf(run) <= 6, `${turnsOf(run)} turns in two hours`);
      }),
      runs,
    );
  });

  it('turns about once at each turn of a load that comes and goes', () => {
    fc.assert(
      fc.property(world, (shape) => {
        const offered = (second: number) => 80 + 60 * Math.sin((2 * Math.PI * second) / (2 * HOUR));
        const run = simulate({ ...shape, offered, seconds: 4 * HOUR });
        // Two periods turn four times; a swing on the way may add one to each.
        assert.ok(turnsOf(run) <= 8, `${turnsOf(run)} turns`);
      }),
      { ...runs, numRuns: 6 },
    );
  });

  it('follows a flash crowd: nobody is refused any more soon after the workers have started', () => {
    const redial = fc.double({ min: 0, max: 0.9, noNaN: true });
    fc.assert(
      fc.property(world, redial, (shape, redialShare) => {
        // Never more than maxWorkers of ten slots can take.
        const offered = (second: number) => (second < 300 ? 15 : 300);
        const run = simulate({ ...shape, redialShare, perCallBytes: MIB / 2, offered, seconds: 2_400 });
        const needed = 300 / (0.8 * shape.slots);
        const settled = run.filter(({ second }) => second > 300 + shape.meanCallS * 3 + shape.startDelayS + 60);
        const late = settled.reduce((total, { refused }) => total + refused, 0);
        const placed = settled.length * (300 / shape.meanCallS);
        assert.ok(late <= 0.02 * placed, `${late} of ${Math.round(placed)} refused once it had had its time`);
        const most = Math.max(...run.map(({ wanted }) => wanted));
        assert.ok(most >= Math.min(60, needed), `${most} workers, ${needed} needed`);
      }),
      runs,
    );
  });

  it('answers a doubling at the first decision that sees callers refused', () => {
    const run = simulate({ offered: (second) => (second < 600 ? 20 : 600), startDelayS: 30 });
    const refusedAt = run.find(({ refused }) => refused > 0)?.second ?? Number.NaN;
    const before = run[refusedAt - 1]?.wanted ?? 0;
    const raisedAt = run.find(({ second, wanted }) => second >= refusedAt && wanted > before)?.second ?? Number.NaN;
    assert.ok(raisedAt - refusedAt <= 15, `refused at ${refusedAt}, raised at ${raisedAt}`);
    const panic = run.find(({ decision }) => decision?.reason.includes('followed at once'));
    const until = (panic?.second ?? 0) + 300;
    assert.ok(
      changesOf(run).every(({ second, by }) => second > until || by > 0),
      'nothing is lowered meanwhile',
    );
  });

  it('comes back when every worker is lost', () => {
    fc.assert(
      fc.property(world, (shape) => {
        const run = simulate({ ...shape, killAllAt: 900, redialShare: 0.5, seconds: 1_800 });
        assert.equal(run[900]?.calls ?? 0, 0);
        const wantedBefore = run[899]?.wanted ?? 0;
        // Its calls are gone as well, and come back over minutes: until then that is no reason for fewer.
        assert.ok(run.slice(900, 1_200).every(({ wanted }) => wanted >= wantedBefore));
        const back = run.filter(({ second }) => second > 900 + shape.startDelayS + 120);
        const refused = back.reduce((total, second) => total + second.refused, 0);
        const placed = (back.length * 60) / shape.meanCallS;
        assert.ok(refused <= 0.02 * placed, `${refused} of ${Math.round(placed)} refused after it had come back`);
      }),
      runs,
    );
  });

  it('lowers nothing for a whole window after a restart of the controller', () => {
    fc.assert(
      fc.property(
        world,
        fc.array(fc.integer({ min: 600, max: 3_000 }), { minLength: 1, maxLength: 6 }),
        (shape, restartsAt) => {
          const offered = (second: number) => (second < 600 ? 100 : 5);
          const run = simulate({ ...shape, offered, restartsAt });
          for (const { second, by } of changesOf(run)) {
            const since = Math.min(...restartsAt.filter((at) => at <= second).map((at) => second - at));
            assert.ok(by > 0 || since >= 300, `lowered ${since} s after a restart`);
          }
        },
      ),
      runs,
    );
  });

  it('lowers by one at a time, never below the calls in progress', () => {
    fc.assert(
      fc.property(world, (shape) => {
        const offered = (second: number) => (second < 900 ? 120 : 30);
        for (const { decision, calls } of simulate({ ...shape, offered, seconds: 2 * HOUR })) {
          if (decision?.verdict !== 'ScaledDown') continue;
          assert.equal(decision.before - decision.wanted, 1);
          assert.ok(decision.wanted * shape.slots > calls, `${calls} calls on ${decision.wanted} workers`);
        }
      }),
      { ...runs, numRuns: 6 },
    );
  });

  it('lowers nothing while any worker is unknown, and raises nothing from what it cannot see', () => {
    const lostShare = fc.double({ min: 0.05, max: 1, noNaN: true });
    fc.assert(
      fc.property(world, lostShare, (shape, share) => {
        const isLost = (second: number, worker: number) =>
          second >= 900 && (worker === 0 || (worker * 7) % 10 < share * 10);
        const refusedUnknown = (second: number) => second >= 900;
        const offered = (second: number) => (second < 900 ? 100 : 20);
        const run = simulate({ ...shape, offered, isLost, refusedUnknown, seconds: 2_400 });
        const before = run[899]?.wanted ?? 0;
        for (const { second, wanted } of run.slice(900)) assert.equal(wanted, before, `${wanted} at ${second}`);
      }),
      runs,
    );
  });

  it('is driven by refused callers alone while more than a third of the workers cannot be seen', () => {
    const blind = { isLost: (second: number, worker: number) => second >= 600 && worker % 2 === 0 };
    const crowd = (second: number) => (second < 600 ? 20 : 300);
    const run = simulate({ ...blind, offered: crowd, seconds: 1_800 });
    assert.ok((run.at(-1)?.wanted ?? 0) > (run[599]?.wanted ?? 0));
    for (const { decision, second } of run) {
      if (second < 600 || decision?.verdict !== 'ScaledUp') continue;
      const { uncountedWorkers, refusedCalls } = decision.terms;
      assert.ok(uncountedWorkers <= 1 || (refusedCalls ?? 0) > 0, `raised at ${second} with nobody refused`);
    }
  });
});
