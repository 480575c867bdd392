import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../../platform/manual_clock.ts';
import { Rota } from './rota.ts';

describe('a rota', () => {
  it('runs each work once a period, spread over it', () => {
    const clock = new ManualClock();
    const rota = new Rota(clock);
    const turns: number[][] = Array.from({ length: 10 }, () => []);
    for (const times of turns) rota.every(1_000, () => times.push(clock.monotonicMs()));
    clock.advance(3_000);
    for (const times of turns) {
      assert.equal(times.length, 3);
      assert.deepEqual(
        times.slice(1).map((time, at) => time - (times[at] ?? 0)),
        [1_000, 1_000],
      );
    }
    assert.equal(new Set(turns.map(([first]) => first)).size, 10, 'no two fall due together while there is room');
  });

  it('keeps periods apart, and ends with its last member', () => {
    const clock = new ManualClock();
    const rota = new Rota(clock);
    const counts = { fast: 0, slow: 0 };
    const fast = rota.every(200, () => counts.fast++);
    const slow = rota.every(1_000, () => counts.slow++);
    clock.advance(2_000);
    assert.deepEqual(counts, { fast: 10, slow: 2 });
    fast.cancel();
    fast.cancel();
    clock.advance(1_000);
    assert.deepEqual(counts, { fast: 10, slow: 3 });
    slow.cancel();
    clock.advance(5_000);
    assert.deepEqual(counts, { fast: 10, slow: 3 });
    rota.every(500, () => counts.slow++);
    clock.advance(1_000);
    assert.equal(counts.slow, 5);
  });

  it('lets work leave while it is being run', () => {
    const clock = new ManualClock();
    const rota = new Rota(clock);
    let runs = 0;
    const timer = rota.every(100, () => {
      runs += 1;
      timer.cancel();
    });
    clock.advance(1_000);
    assert.equal(runs, 1);
  });
});
