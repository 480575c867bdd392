import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sleep, systemClock } from './clock.ts';
import { ManualClock } from './manual_clock.ts';

test('the system clock runs a timer and never goes back', async () => {
  const startMs = systemClock.monotonicMs();
  // The clock's timers do not keep a process alive, so the test does.
  const alive = setInterval(() => undefined, 1_000);
  await sleep(systemClock, 5);
  clearInterval(alive);
  assert.ok(systemClock.monotonicMs() > startMs);
  assert.ok(Math.abs(systemClock.wallMs() - Date.now()) < 1_000);
});

test('a cancelled timer of the system clock does not run', async () => {
  let runs = 0;
  const once = systemClock.after(0, () => runs++);
  const again = systemClock.every(1, () => runs++);
  once.cancel();
  again.cancel();
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(runs, 0);
});

test('the manual clock stands still until it is moved', () => {
  const clock = new ManualClock(Date.UTC(2026, 5, 1));
  let runs = 0;
  clock.after(10, () => runs++);
  clock.advance(9);
  assert.equal(runs, 0);
  clock.advance(1);
  assert.equal(runs, 1);
  assert.deepEqual([clock.monotonicMs(), clock.wallMs()], [10, Date.UTC(2026, 5, 1) + 10]);
});

test('timers run in the order of their due time, equal ones in the order they were set, each at its own time', () => {
  const clock = new ManualClock();
  const seen: [string, number][] = [];
  const note = (name: string) => () => void seen.push([name, clock.monotonicMs()]);
  clock.after(20, note('c'));
  clock.after(10, note('a'));
  clock.after(10, note('b'));
  clock.every(15, note('tick'));
  clock.advance(30);
  assert.deepEqual(seen, [
    ['a', 10],
    ['b', 10],
    ['tick', 15],
    ['c', 20],
    ['tick', 30],
  ]);
});

test('a timer may set and cancel others while time moves', () => {
  const clock = new ManualClock();
  const seen: string[] = [];
  const doomed = clock.after(20, () => seen.push('doomed'));
  const ticker = clock.every(5, () => {
    seen.push('tick');
    ticker.cancel();
  });
  clock.after(10, () => {
    doomed.cancel();
    clock.after(5, () => seen.push('nested'));
  });
  clock.advance(100);
  assert.deepEqual(seen, ['tick', 'nested']);
});

test('a period or delay of nothing does not hang', () => {
  const clock = new ManualClock();
  let runs = 0;
  clock.every(0, () => runs++);
  clock.after(-5, () => runs++);
  clock.advance(3);
  assert.equal(runs, 4);
});

test('moving in many steps runs the same timers as moving at once', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 20 }),
      fc.array(fc.integer({ min: 0, max: 20 })),
      (delays, steps) => {
        const run = (advance: (clock: ManualClock) => void): number[] => {
          const clock = new ManualClock();
          const seen: number[] = [];
          for (const [index, delayMs] of delays.entries()) clock.after(delayMs, () => seen.push(index));
          advance(clock);
          return seen;
        };
        const totalMs = steps.reduce((sum, step) => sum + step, 0);
        assert.deepEqual(
          run((clock) => steps.forEach((step) => void clock.advance(step))),
          run((clock) => (steps.length > 0 ? clock.advance(totalMs) : undefined)),
        );
      },
    ),
  );
});

test('sleep ends after its time, or at once with the reason of the signal, and leaves no timer', async () => {
  const clock = new ManualClock();
  const slept = sleep(clock, 10);
  clock.advance(10);
  await slept;

  const reason = new Error('stop');
  await assert.rejects(sleep(clock, 10, AbortSignal.abort(reason)), reason);

  const abort = new AbortController();
  const interrupted = sleep(clock, 10, abort.signal);
  abort.abort(reason);
  await assert.rejects(interrupted, reason);
  clock.advance(100);
});
