import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../platform/manual_clock.ts';
import { Ticker } from './ticker.ts';

function counting(ticker: Ticker): { ticks: number } {
  const member = { ticks: 0, tick: () => member.ticks++ };
  ticker.add(member);
  return member;
}

/** A clock whose timers come late, as those of a busy process do. */
class LateClock extends ManualClock {
  lateMs = 0;

  override after(delayMs: number, callback: () => void) {
    return super.after(delayMs + this.lateMs, callback);
  }
}

test('however late its timer comes, ticks are as many as 20 ms have passed', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(150), { minLength: 1, maxLength: 60 }), (lateness) => {
      const clock = new LateClock();
      const ticker = new Ticker(clock);
      const member = counting(ticker);
      for (const lateMs of lateness) {
        clock.lateMs = lateMs;
        clock.advance(100);
      }
      clock.lateMs = 0;
      clock.advance(1_000);
      assert.equal(member.ticks, Math.floor(clock.monotonicMs() / 20));
    }),
  );
});

test('after a standstill of more than five seconds the missed ticks are dropped and counted', () => {
  const clock = new LateClock();
  const ticker = new Ticker(clock);
  clock.lateMs = 10_000;
  const member = counting(ticker);
  clock.lateMs = 0;
  clock.advance(10_020);
  assert.equal(member.ticks, 1);
  assert.equal(ticker.figures.skippedTicks, 500);
  assert.ok(ticker.figures.maxLateMs <= 20);
  clock.advance(1_000);
  assert.equal(member.ticks, 51);
});

test('lateness is counted', () => {
  const clock = new LateClock();
  const ticker = new Ticker(clock);
  clock.lateMs = 15;
  counting(ticker);
  clock.advance(35);
  assert.deepEqual(ticker.figures, { ticks: 1, lateTicks: 1, maxLateMs: 15, skippedTicks: 0 });
});

test('members come and go, also from within a tick; an idle ticker rests', () => {
  const clock = new ManualClock();
  const ticker = new Ticker(clock);
  const once = {
    ticks: 0,
    tick: () => {
      once.ticks += 1;
      ticker.remove(once);
    },
  };
  ticker.add(once);
  clock.advance(200);
  assert.equal(once.ticks, 1);
  assert.equal(ticker.figures.ticks, 1);
  const again = counting(ticker);
  clock.advance(40);
  assert.equal(again.ticks, 2, 'the pause is not caught up');
});
