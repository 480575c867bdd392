import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Lifecycle } from './lifecycle.ts';
import { createLog, silentLog } from './log.ts';
import { ManualClock } from './manual_clock.ts';

test('what was added last stops first, each after the one before it has ended', async () => {
  const seen: string[] = [];
  const lifecycle = new Lifecycle(new ManualClock(), silentLog);
  for (const name of ['store', 'calls', 'listener']) {
    lifecycle.onStop(name, 1_000, async () => {
      seen.push(`${name} stops`);
      await setImmediate();
      seen.push(`${name} stopped`);
    });
  }
  assert.equal(lifecycle.stopping, false);
  const stopped = lifecycle.stop('test');
  assert.equal(lifecycle.stopping, true);
  await stopped;
  assert.deepEqual(seen, [
    'listener stops',
    'listener stopped',
    'calls stops',
    'calls stopped',
    'store stops',
    'store stopped',
  ]);
});

test('it runs once, and every caller waits for the same end', async () => {
  let runs = 0;
  const lifecycle = new Lifecycle(new ManualClock(), silentLog);
  lifecycle.onStop('once', 1_000, () => void runs++);
  await Promise.all([lifecycle.stop('first'), lifecycle.stop('second')]);
  await lifecycle.stop('third');
  assert.equal(runs, 1);
});

test('a step that throws, rejects or is late is logged and passed over', async () => {
  const clock = new ManualClock();
  const lines: { msg: string; step?: string }[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const lifecycle = new Lifecycle(clock, createLog({ process: 'test', destination }));
  let last = false;
  lifecycle.onStop('last', 1_000, () => {
    last = true;
  });
  lifecycle.onStop('late', 1_000, () => new Promise(() => undefined));
  lifecycle.onStop('rejects', 1_000, () => Promise.reject(new Error('no')));
  lifecycle.onStop('throws', 1_000, () => {
    throw new Error('no');
  });
  const stopped = lifecycle.stop('test');
  await setImmediate();
  assert.equal(last, false);
  clock.advance(999);
  await setImmediate();
  assert.equal(last, false);
  clock.advance(1);
  await stopped;
  assert.equal(last, true);
  assert.deepEqual(
    lines.filter(({ step }) => step).map(({ step }) => step),
    ['throws', 'rejects', 'late'],
  );
});

test('a step without a deadline is waited for, however long it takes', async () => {
  const clock = new ManualClock();
  const { promise, resolve } = Promise.withResolvers<void>();
  const lifecycle = new Lifecycle(clock, silentLog);
  lifecycle.onStop('drain', Number.POSITIVE_INFINITY, () => promise);
  let ended = false;
  const stopped = lifecycle.stop('test').then(() => {
    ended = true;
  });
  clock.advance(86_400_000);
  await setImmediate();
  assert.equal(ended, false);
  resolve();
  await stopped;
});
