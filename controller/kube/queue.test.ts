import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { createKubeMetrics } from './metrics.ts';
import { RateLimitedQueue } from './queue.ts';

function make() {
  const clock = new ManualClock();
  const registry = createRegistry({ processMetrics: false });
  const queue = new RateLimitedQueue({ name: 'q', clock, metrics: createKubeMetrics(registry) });
  return { clock, registry, queue };
}

test('a key that waits is there once, and keys come in the order in which they were added', async () => {
  const { queue } = make();
  for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
  assert.equal(queue.length, 3);
  assert.deepEqual([await queue.next(), await queue.next(), await queue.next()], ['a', 'b', 'c']);
});

test('a key added while it is worked on comes again afterwards, once', async () => {
  const { queue } = make();
  queue.add('a');
  await queue.next();
  queue.add('a');
  queue.add('a');
  assert.equal(queue.length, 0);
  queue.done('a');
  assert.equal(queue.length, 1);
  await queue.next();
  queue.done('a');
  assert.equal(queue.length, 0);
});

test('a key that comes sooner than planned is not handed out again for the plan of before', async () => {
  const { clock, queue } = make();
  queue.addAfter('a', 10_000);
  clock.advance(4_000);
  queue.add('a');
  await queue.next();
  queue.addAfter('a', 30_000);
  queue.done('a');
  clock.advance(29_000);
  assert.equal(queue.length, 0);
  clock.advance(1_000);
  assert.equal(queue.length, 1);
});

test('who waits for a key gets it as soon as it is added', async () => {
  const { queue } = make();
  const next = queue.next();
  queue.add('a');
  assert.equal(await next, 'a');
});

test('of two delays of a key the sooner counts, and it is added once', async () => {
  const { queue, clock } = make();
  queue.addAfter('a', 100);
  queue.addAfter('a', 50);
  queue.addAfter('a', 70);
  clock.advance(49);
  assert.equal(queue.length, 0);
  clock.advance(1);
  assert.equal(await queue.next(), 'a');
  queue.done('a');
  clock.advance(1_000);
  assert.equal(queue.length, 0);
});

test('failures of one key wait 5 ms, doubling to 1000 s, and a success starts anew', async () => {
  const { queue, clock } = make();
  for (let failures = 0; failures < 25; failures++) {
    const waitMs = Math.min(5 * 2 ** failures, 1_000_000);
    queue.addRateLimited('a');
    clock.advance(waitMs - 1);
    assert.equal(queue.length, 0, `${failures} failures`);
    clock.advance(1);
    assert.equal(await queue.next(), 'a');
    queue.done('a');
    assert.equal(queue.retries('a'), failures + 1);
  }
  queue.forget('a');
  assert.equal(queue.retries('a'), 0);
  queue.addRateLimited('a');
  clock.advance(5);
  assert.equal(queue.length, 1);
});

test('failures of all keys together are 100 at once and then 10 a second', () => {
  const { queue, clock } = make();
  for (let i = 0; i < 150; i++) queue.addRateLimited(`k${i}`);
  clock.advance(5);
  assert.equal(queue.length, 100);
  clock.advance(995);
  assert.equal(queue.length, 110);
  clock.advance(4_000);
  assert.equal(queue.length, 150);
});

test('a shutdown drops what waits, tells who waits, and is done when all work is given back', async () => {
  const { queue, clock } = make();
  queue.add('a');
  assert.equal(await queue.next(), 'a');
  const waiting = queue.next();
  let done = false;
  queue.addAfter('c', 10);
  queue.add('a');
  const shut = queue.shutDown().then(() => {
    done = true;
  });
  assert.equal(await waiting, undefined);
  queue.add('d');
  queue.addAfter('e', 0);
  queue.addRateLimited('f');
  clock.advance(1_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([done, queue.length], [false, 0]);
  queue.done('a');
  await shut;
  assert.equal(await queue.next(), undefined);
  await queue.shutDown();
});

test('a key that nobody works on cannot be given back', () => {
  const { queue } = make();
  queue.add('a');
  queue.done('a');
  assert.equal(queue.length, 1);
});

test('metrics tell of what waits, of what is worked on, and of a key that hangs', async () => {
  const { queue, registry, clock } = make();
  queue.add('a');
  queue.add('b');
  clock.advance(2_000);
  await queue.next();
  clock.advance(3_000);
  queue.addRateLimited('c');
  const value = async (name: string) => {
    const [, found] = new RegExp(`^${name}(?:_sum)?{[^}]*} (.*)$`, 'm').exec(await registry.metrics()) ?? [];
    return Number(found);
  };
  assert.deepEqual(
    [await value('workqueue_depth'), await value('workqueue_adds_total'), await value('workqueue_retries_total')],
    [1, 2, 1],
  );
  assert.deepEqual(
    [
      await value('workqueue_unfinished_work_seconds'),
      await value('workqueue_longest_running_processor_seconds'),
      await value('workqueue_queue_duration_seconds'),
    ],
    [3, 3, 2],
  );
  queue.done('a');
  assert.deepEqual(
    [await value('workqueue_unfinished_work_seconds'), await value('workqueue_work_duration_seconds')],
    [0, 3],
  );
});

type Step =
  | { act: 'add' | 'retry' | 'forget'; key: string }
  | { act: 'after'; key: string; delayMs: number }
  | { act: 'take' | 'done' }
  | { act: 'advance'; ms: number };

const key = fc.constantFrom('a', 'b', 'c', 'd');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ act: fc.constantFrom('add' as const, 'retry' as const, 'forget' as const), key }),
  fc.record({ act: fc.constant('after' as const), key, delayMs: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ act: fc.constantFrom('take' as const, 'take' as const, 'done' as const) }),
  fc.record({ act: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 30 }) }),
);

test('no key is lost, and none is worked on twice at once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { queue, clock } = make();
      const working: string[] = [];
      /** Keys that must still be handed out. */
      const owed = new Set<string>();
      const take = async () => {
        const taken = await queue.next();
        assert.ok(taken !== undefined && !working.includes(taken), `${taken} is worked on already`);
        assert.ok(owed.delete(taken), `${taken} was not asked for`);
        working.push(taken);
      };
      for (const one of steps) {
        if (one.act === 'add') queue.add(one.key);
        if (one.act === 'after') queue.addAfter(one.key, one.delayMs);
        if (one.act === 'retry') queue.addRateLimited(one.key);
        if (one.act === 'add' || one.act === 'after' || one.act === 'retry') owed.add(one.key);
        if (one.act === 'forget') queue.forget(one.key);
        if (one.act === 'advance') clock.advance(one.ms);
        if (one.act === 'take' && queue.length > 0) await take();
        if (one.act === 'done') queue.done(working.shift() ?? '');
      }
      while (owed.size > 0) {
        clock.advance(1_000_000);
        for (const one of working.splice(0)) queue.done(one);
        assert.ok(queue.length > 0, `${[...owed]} never came`);
        // A delay may bring a key again that had been added meanwhile.
        while (queue.length > 0) {
          const taken = await queue.next();
          owed.delete(taken ?? '');
          working.push(taken ?? '');
        }
      }
    }),
    { numRuns: 300 },
  );
});
