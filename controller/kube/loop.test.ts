import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { silentLog } from '../../platform/log.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { ControllerLoop, type Reconcile, type ReconcileContext, TerminalError } from './loop.ts';
import { createKubeMetrics } from './metrics.ts';
import { RateLimitedQueue } from './queue.ts';

/** A loop whose passes end when the test says. */
function make(options: { concurrency?: number } = {}) {
  const clock = new ManualClock();
  const registry = createRegistry({ processMetrics: false });
  const metrics = createKubeMetrics(registry);
  const queue = new RateLimitedQueue({ name: 'pools', clock, metrics });
  const passes: {
    key: string;
    context: ReconcileContext;
    end: PromiseWithResolvers<Awaited<ReturnType<Reconcile>>>;
  }[] = [];
  const loop = new ControllerLoop({
    ...{
      name: 'pools',
      queue,
      concurrency: options.concurrency ?? 2,
      timeoutMs: 1_000,
      clock,
      metrics,
      log: silentLog,
    },
    reconcile: (key, context) => {
      const end = Promise.withResolvers<Awaited<ReturnType<Reconcile>>>();
      passes.push({ key, context, end });
      return end.promise;
    },
  });
  const count = async (name: string, labels: Record<string, string> = {}) => {
    const metric = await registry.getSingleMetric(`controller_runtime_${name}`)?.get();
    const wanted = Object.entries({ controller: 'pools', ...labels });
    return metric?.values.find((one) => wanted.every(([label, value]) => one.labels[label as never] === value))?.value;
  };
  const pass = (index: number) => {
    const found = passes[index];
    assert.ok(found, `pass ${index} has not begun`);
    return found;
  };
  loop.start();
  return { clock, queue, loop, passes, pass, count };
}

test('different keys run at once up to the limit, one key never', async () => {
  const { queue, passes, pass, count } = make();
  for (const key of ['a', 'b', 'c']) queue.add(key);
  queue.add('a');
  await setImmediate();
  assert.deepEqual(
    passes.map(({ key }) => key),
    ['a', 'b'],
  );
  assert.equal(await count('active_workers'), 2);
  queue.add('a');
  pass(1).end.resolve(undefined);
  await setImmediate();
  assert.deepEqual(
    passes.map(({ key }) => key),
    ['a', 'b', 'c'],
  );
  pass(0).end.resolve(undefined);
  await setImmediate();
  assert.deepEqual(
    passes.map(({ key }) => key),
    ['a', 'b', 'c', 'a'],
  );
  assert.equal(await count('reconcile_total', { result: 'success' }), 2);
});

test('a result says when to look again, and is no failure', async () => {
  const { queue, clock, passes, pass, count } = make();
  queue.add('a');
  await setImmediate();
  pass(0).end.resolve({ requeueAfterMs: 500 });
  await setImmediate();
  clock.advance(499);
  await setImmediate();
  assert.equal(passes.length, 1);
  clock.advance(1);
  await setImmediate();
  assert.equal(passes.length, 2);
  assert.deepEqual([queue.retries('a'), await count('reconcile_total', { result: 'requeue_after' })], [0, 1]);
});

test('a failure is tried again with back-off until it succeeds', async () => {
  const { queue, clock, passes, pass, count } = make();
  queue.add('a');
  for (const waitMs of [5, 10, 20]) {
    await setImmediate();
    pass(passes.length - 1).end.reject(new Error('busy'));
    await setImmediate();
    const before = passes.length;
    clock.advance(waitMs - 1);
    await setImmediate();
    assert.equal(passes.length, before);
    clock.advance(1);
  }
  await setImmediate();
  assert.equal(queue.retries('a'), 3);
  pass(3).end.resolve(undefined);
  await setImmediate();
  assert.equal(queue.retries('a'), 0);
  assert.deepEqual(
    [await count('reconcile_errors_total'), await count('reconcile_total', { result: 'error' })],
    [3, 3],
  );
  assert.deepEqual([await count('reconcile_panics_total'), await count('terminal_reconcile_errors_total')], [0, 0]);
});

test('a terminal error is not tried again, and a fault of the program is told apart', async () => {
  const { queue, clock, passes, pass, count } = make();
  queue.add('a');
  queue.add('b');
  await setImmediate();
  pass(0).end.reject(new TerminalError(new Error('wrong object')));
  pass(1).end.reject(new TypeError('undefined is not a function'));
  await setImmediate();
  clock.advance(3_600_000);
  await setImmediate();
  assert.deepEqual(
    passes.map(({ key }) => key),
    ['a', 'b', 'b'],
  );
  assert.deepEqual([await count('terminal_reconcile_errors_total'), await count('reconcile_panics_total')], [1, 1]);
  assert.equal(queue.retries('a'), 0);
});

test('a pass that takes too long is told to end, frees its place, and its key waits until it has ended', async () => {
  const { queue, clock, passes, pass, count } = make({ concurrency: 1 });
  queue.add('a');
  await setImmediate();
  clock.advance(999);
  assert.equal(pass(0).context.signal.aborted, false);
  clock.advance(1);
  assert.match(String(pass(0).context.signal.reason), /did not end in time: a, 1000 ms/);
  queue.add('a');
  queue.add('b');
  await setImmediate();
  assert.deepEqual(
    passes.map(({ key }) => key),
    ['a', 'b'],
  );
  pass(0).end.reject(pass(0).context.signal.reason);
  pass(1).end.resolve(undefined);
  await setImmediate();
  assert.deepEqual(
    passes.map(({ key }) => key),
    ['a', 'b', 'a'],
  );
  assert.deepEqual([await count('reconcile_timeouts_total'), await count('reconcile_errors_total')], [1, 1]);
});

test('a stop tells running passes to end, waits for them, and drops the rest', async () => {
  const { queue, clock, loop, passes, pass } = make({ concurrency: 1 });
  queue.add('a');
  queue.add('b');
  await setImmediate();
  let stopped = false;
  const stop = loop.stop().then(() => {
    stopped = true;
  });
  await setImmediate();
  assert.deepEqual([stopped, pass(0).context.signal.aborted], [false, true]);
  pass(0).end.reject(new Error('stopped'));
  await stop;
  clock.advance(3_600_000);
  await setImmediate();
  assert.equal(passes.length, 1);
});

test('a pass that never ends does not hold up a stop for longer than its time', async () => {
  const { queue, clock, loop } = make();
  queue.add('a');
  await setImmediate();
  const stop = loop.stop();
  clock.advance(1_000);
  await stop;
});

test('each pass has a name of its own, and a second start changes nothing', async () => {
  const { queue, loop, passes } = make();
  loop.start();
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await setImmediate();
  assert.equal(passes.length, 2);
  assert.equal(new Set(passes.map(({ context }) => context.reconcileId)).size, 2);
});
