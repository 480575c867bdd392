import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { aSpec } from '../../../test/support/pool_views.ts';
import { decide, initialMemory } from './decide.ts';
import type { ScalingDecision, ScalingInput, ScalingMemory, ScalingWorker } from './types.ts';

const MIB = 2 ** 20;
const LIMIT = 512 * MIB;
const INTERVAL_MS = 5_000;

interface World {
  slots: number;
  minWorkers: number;
  maxWorkers: number;
  baselineShare: number;
  perCallBytes: number;
  driftBytes: number;
}

const WORLD: World = { slots: 50, minWorkers: 2, maxWorkers: 40, baselineShare: 0.2, perCallBytes: MIB, driftBytes: 0 };

function inputOf(
  world: World,
  workers: number,
  calls: number,
  step: number,
  change: Partial<ScalingInput> = {},
): ScalingInput {
  const served = Math.min(calls, workers * world.slots);
  return {
    nowMs: step * INTERVAL_MS,
    minWorkers: world.minWorkers,
    maxWorkers: world.maxWorkers,
    slotsPerWorker: world.slots,
    memoryLimitBytes: LIMIT,
    scaling: {
      ...aSpec().scaling,
      mode: 'Automatic',
      connectionsThresholdPercent: 80,
      memoryThresholdPercent: 70,
      scaleDownConnectionsPercent: 60,
      scaleDownMemoryPercent: 50,
      scaleDownStabilizationSeconds: 300,
      targetBlockingProbability: 0.01,
      intervalSeconds: INTERVAL_MS / 1000,
    },
    workers: Array.from({ length: workers }, (_, index): ScalingWorker => {
      const own = Math.floor(served / workers) + (index < served % workers ? 1 : 0);
      const baseline = world.baselineShare * LIMIT;
      return {
        id: `w-${index}`,
        admitting: true,
        calls: own,
        known: true,
        memoryBaselineBytes: baseline,
        memoryBytes: baseline + world.driftBytes + own * world.perCallBytes,
        memoryLimitBytes: LIMIT,
      };
    }),
    offered: undefined,
    scheduleFloor: 0,
    redisFull: false,
    refusedCalls: calls - served,
    requestedReplicas: undefined,
    floorUntilMs: undefined,
    ...change,
  };
}

/** Lets the fleet follow the number at once and returns every decision. */
function run(world: World, loads: readonly number[], change: Partial<ScalingInput> = {}, from?: ScalingMemory) {
  let memory = from ?? initialMemory(0, world.minWorkers, world.maxWorkers);
  const decisions: ScalingDecision[] = [];
  loads.forEach((calls, step) => {
    const outcome = decide(memory, inputOf(world, memory.wanted, calls, step, change));
    memory = outcome.memory;
    decisions.push(outcome.decision);
  });
  return { memory, decisions };
}

const constant = (calls: number, steps: number) => Array.from({ length: steps }, () => calls);
const world = fc.record({
  slots: fc.integer({ min: 2, max: 200 }),
  minWorkers: fc.integer({ min: 1, max: 5 }),
  maxWorkers: fc.integer({ min: 5, max: 60 }),
  baselineShare: fc.double({ min: 0.05, max: 0.9, noNaN: true }),
  perCallBytes: fc.integer({ min: 0, max: 20 * MIB }),
  driftBytes: fc.integer({ min: 0, max: 300 * MIB }),
});

describe('scaling rule', () => {
  it('keeps an idle pool at minWorkers even when its memory stands at 75 %', () => {
    for (const shape of [{ baselineShare: 0.75 }, { baselineShare: 0.2, driftBytes: 0.55 * LIMIT }]) {
      const { decisions } = run({ ...WORLD, ...shape }, constant(0, 200));
      assert.deepEqual(new Set(decisions.map((decision) => decision.wanted)), new Set([2]));
    }
  });

  it('takes no memory for that of calls while a worker has too few of them', () => {
    const { memory } = run({ ...WORLD, driftBytes: 0.55 * LIMIT }, constant(2, 50));
    assert.equal(memory.wanted, 2);
    assert.equal(memory.memoryPerCallBytes, undefined);
  });

  it('says that the baseline is high and leaves memory out of the count', () => {
    const { decisions } = run({ ...WORLD, baselineShare: 0.75 }, constant(60, 20));
    const last = decisions.at(-1);
    assert.equal(last?.terms.memoryBaselineHigh, true);
    assert.equal(last?.terms.usableSlotsByMemory, undefined);
    assert.equal(last?.wanted, 2);
  });

  it('raises only at the second breach in a row', () => {
    const { decisions } = run(WORLD, [90, 0, 90, 90]);
    assert.deepEqual(
      decisions.map((decision) => decision.verdict),
      ['BreachSeen', 'Steady', 'BreachSeen', 'ScaledUp'],
    );
  });

  it('follows callers who are turned away at once when they double the load, and then lowers nothing for the whole window', () => {
    const { decisions, memory } = run(WORLD, [400, 0, ...constant(0, 58)]);
    assert.equal(decisions[0]?.verdict, 'ScaledUp');
    assert.match(decisions[0]?.reason ?? '', /followed at once/);
    assert.match(decisions[1]?.reason ?? '', /the load had doubled/);
    assert.equal(memory.wanted, decisions[0]?.wanted, 'five minutes of nothing');
    const later = run(WORLD, constant(0, 1_500), {}, memory);
    assert.equal(later.memory.wanted, 2);
  });

  it('takes a window of time for a floor, within maxWorkers', () => {
    assert.equal(run(WORLD, constant(0, 3), { scheduleFloor: 7 }).memory.wanted, 7);
    assert.equal(run({ ...WORLD, maxWorkers: 5 }, constant(0, 3), { scheduleFloor: 7 }).memory.wanted, 5);
  });

  it('counts the calls of another source, never fewer than the workers have, and freezes while it says nothing', () => {
    const known = { offered: { kind: 'known', calls: 200 } } as const;
    assert.ok(run(WORLD, constant(0, 3), known).memory.wanted >= 5);
    const lagging = { offered: { kind: 'known', calls: 0 } } as const;
    assert.ok(run(WORLD, constant(90, 3), lagging).memory.wanted >= 3);
    const missing = { offered: { kind: 'missing', reason: 'status 503' } } as const;
    const from = { ...initialMemory(8, 2, 100), lowSinceMs: -1e9 };
    const { decisions } = run(WORLD, constant(0, 100), missing, from);
    assert.ok(decisions.every(({ verdict, wanted }) => verdict === 'Frozen' && wanted === 8));
    assert.match(decisions[0]?.reason ?? '', /status 503/);
  });

  it('counts usable slots by memory when that is the tighter limit', () => {
    const heavy = { ...WORLD, perCallBytes: 10 * MIB };
    const { decisions } = run(heavy, constant(100, 60));
    // (0.70 - 0.20) x 512 MiB / 10 MiB = 25.6 usable slots, so 100 calls need 4 workers.
    assert.equal(Math.round((decisions.at(-1)?.terms.usableSlots ?? 0) * 10), 256);
    assert.equal(decisions.at(-1)?.wanted, 4);
  });

  it('follows a flash crowd although a full pool shows no more calls than slots', () => {
    const { memory } = run(WORLD, constant(1500, 60));
    assert.equal(memory.wanted, 38);
  });

  it('lowers one at a time, each after the whole stabilisation time', () => {
    const start = { wanted: 10, breaches: 0, lowSinceMs: undefined, panicUntilMs: undefined, memoryPerCallBytes: MIB };
    const { decisions } = run(WORLD, constant(0, 200), {}, start);
    const downs = decisions.flatMap((decision, step) => (decision.verdict === 'ScaledDown' ? [step] : []));
    assert.ok(downs.length >= 3);
    for (const [index, step] of downs.entries()) {
      assert.ok(step - (downs[index - 1] ?? -1) >= 60, 'less than 300 s between two');
    }
    for (const decision of decisions) assert.ok(decision.before - decision.wanted <= 1);
  });

  it('freezes scale-down while figures are missing, and goes on raising', () => {
    const blind = (input: ScalingInput): ScalingInput => ({
      ...input,
      workers: input.workers.map((worker, index) => (index ? worker : { ...worker, known: false, calls: undefined })),
    });
    let memory: ScalingMemory = {
      wanted: 10,
      breaches: 0,
      lowSinceMs: 0,
      panicUntilMs: undefined,
      memoryPerCallBytes: MIB,
    };
    for (let step = 0; step < 200; step++) {
      const outcome = decide(memory, blind(inputOf(WORLD, memory.wanted, 0, step)));
      assert.equal(outcome.decision.verdict, 'Frozen');
      memory = outcome.memory;
    }
    memory = decide(memory, blind(inputOf(WORLD, 10, 900, 201))).memory;
    memory = decide(memory, blind(inputOf(WORLD, 10, 900, 202))).memory;
    assert.ok(memory.wanted > 10);
  });

  it('raises nothing from sums that lack more than a third of the workers, except for callers who are turned away', () => {
    const blind = (refusedCalls: number | undefined, uncounted: number): ScalingInput => {
      const input = inputOf(WORLD, 3, 150, 0);
      const workers = input.workers.map((worker, index) =>
        index < uncounted ? { ...worker, known: false, calls: undefined } : { ...worker, calls: 150 },
      );
      return { ...input, workers, refusedCalls };
    };
    const memory = { ...initialMemory(3, 2, 40), breaches: 1 };
    assert.equal(decide(memory, blind(0, 1)).decision.verdict, 'ScaledUp', 'a third is not more than a third');
    for (const refused of [0, undefined]) {
      const { decision } = decide(memory, blind(refused, 2));
      assert.deepEqual([decision.verdict, decision.wanted], ['Frozen', 3]);
      assert.match(decision.reason, /calls of 2 of 3 workers are not known/);
    }
    assert.equal(decide(memory, blind(5, 2)).decision.verdict, 'ScaledUp');
  });

  it('adds no workers for calls that are refused because Redis is full', () => {
    const full = run({ ...WORLD, maxWorkers: 1_000 }, constant(0, 100), { refusedCalls: 500, redisFull: true });
    assert.deepEqual(new Set(full.decisions.map(({ wanted }) => wanted)), new Set([2]));
    assert.equal(full.decisions[0]?.terms.refusedCalls, 500, 'it is told all the same');
    assert.ok(run(WORLD, constant(0, 3), { refusedCalls: 500 }).memory.wanted > 2);
    const mixed = decide(
      initialMemory(2, 2, 40),
      inputOf(WORLD, 2, 0, 0, {
        ...{ refusedCalls: 500, redisFull: true, offered: { kind: 'known', calls: 500 } },
      }),
    );
    assert.equal(mixed.decision.verdict, 'BreachSeen', 'nobody was refused for want of workers: no panic');
  });

  it('freezes while Redis cannot say how many calls were refused', () => {
    const start = { wanted: 10, breaches: 0, lowSinceMs: undefined, panicUntilMs: undefined, memoryPerCallBytes: MIB };
    const { decisions } = run(WORLD, constant(0, 100), { refusedCalls: undefined }, start);
    assert.deepEqual(new Set(decisions.map((decision) => decision.verdict)), new Set(['Frozen']));
  });

  it('does not lower after a restart of the controller', () => {
    assert.equal(initialMemory(7, 2, 40).wanted, 7);
    const { decisions } = run(WORLD, constant(0, 60), {}, initialMemory(7, 2, 40));
    assert.deepEqual(new Set(decisions.map((decision) => decision.wanted)), new Set([7]));
  });

  it('takes the number from /scale in External mode, from minWorkers in Fixed mode, as a floor in Automatic mode', () => {
    const scaling = inputOf(WORLD, 2, 0, 0).scaling;
    const external = run(WORLD, constant(0, 3), { scaling: { ...scaling, mode: 'External' }, requestedReplicas: 9 });
    assert.equal(external.memory.wanted, 9);
    const fixed = run(WORLD, constant(900, 3), { scaling: { ...scaling, mode: 'Fixed' }, requestedReplicas: 9 });
    assert.equal(fixed.memory.wanted, 2);
    const floor = run(WORLD, constant(0, 200), { requestedReplicas: 9, floorUntilMs: 60_000 });
    assert.equal(floor.decisions[0]?.wanted, 9);
    assert.equal(floor.decisions[0]?.floor, 9);
    assert.ok(floor.memory.wanted < 9, 'the floor ends');
  });

  it('stays within the bounds, whatever is offered', () => {
    fc.assert(
      fc.property(world, fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 40 }), (shape, loads) => {
        for (const { wanted } of run(shape, loads).decisions) {
          assert.ok(wanted >= shape.minWorkers && wanted <= shape.maxWorkers);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('does not oscillate under constant load: once it has come down it does not go up', () => {
    fc.assert(
      fc.property(world, fc.integer({ min: 0, max: 5_000 }), (shape, calls) => {
        // Slots differ between workers in what they cost only when calls are spread unevenly; equal workers must settle.
        const { decisions } = run({ ...shape, driftBytes: 0 }, constant(calls, 400));
        const numbers = decisions.map((decision) => decision.wanted);
        const firstDown = numbers.findIndex((wanted, index) => index > 0 && wanted < (numbers[index - 1] ?? 0));
        if (firstDown < 0) return;
        for (let step = firstDown; step < numbers.length; step++) {
          assert.ok((numbers[step] ?? 0) <= (numbers[step - 1] ?? 0), `up again at step ${step}: ${numbers.join(',')}`);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('never runs away: memory that no call explains stops multiplying workers', () => {
    fc.assert(
      fc.property(world, fc.integer({ min: 0, max: 500 }), (shape, calls) => {
        const { memory } = run({ ...shape, maxWorkers: 1_000, perCallBytes: MIB }, constant(calls, 300));
        assert.ok(
          memory.wanted <= Math.max(shape.minWorkers, 1.2 * calls + 20),
          `${memory.wanted} workers for ${calls} calls`,
        );
      }),
      { numRuns: 40 },
    );
  });

  it('asks for no fewer workers when more calls are offered', () => {
    fc.assert(
      fc.property(world, fc.nat({ max: 5_000 }), fc.nat({ max: 500 }), (shape, calls, more) => {
        const wanted = (load: number) => {
          const memory = {
            wanted: 20,
            breaches: 0,
            lowSinceMs: undefined,
            panicUntilMs: undefined,
            memoryPerCallBytes: shape.perCallBytes,
          };
          const scaled = inputOf({ ...shape, driftBytes: 0 }, 20, load, 0);
          return decide(memory, scaled).decision.terms.workersWanted;
        };
        assert.ok(wanted(calls + more) >= wanted(calls));
      }),
      { numRuns: 100 },
    );
  });
});
