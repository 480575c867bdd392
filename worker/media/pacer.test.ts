import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import type { Clock, Timer } from '../../platform/clock.ts';
import { createLog } from '../../platform/log.ts';
import { mediaProcess, metric } from '../../test/support/media.ts';
import { type Paced, Pacer } from './pacer.ts';

const paced = (tick: (nowMs: number) => boolean): Paced => ({ tick });

test('ticks every 20 ms by absolute due times, however long a tick takes', () => {
  const { clock, pacer } = mediaProcess();
  const times: number[] = [];
  pacer.wake(
    paced((nowMs) => {
      times.push(nowMs);
      return times.length < 6;
    }),
  );
  clock.advance(1_000);
  assert.deepEqual(times, [0, 20, 40, 60, 80, 100]);
});

test('a late loop moves no later tick: what was missed is passed over, and the lateness is measured', async () => {
  const { metrics, registry } = mediaProcess();
  const late = new LateClock([0, 0, 103, 0, 7]);
  const pacer = new Pacer({ clock: late, metrics, log: createLog({ process: 'test', level: 'silent' }) });
  const times: number[] = [];
  pacer.wake(paced((nowMs) => times.push(nowMs) < 6));
  for (let i = 0; i < 6; i++) late.fire();
  assert.deepEqual(times, [0, 20, 143, 160, 187, 200]);
  assert.equal(await metric(registry, 'rtvoice_audio_frame_lateness_seconds', { le: '0.1' }), 5);
});

test('has no timer while nobody plays', () => {
  const { clock, pacer } = mediaProcess();
  let ticks = 0;
  const once = paced(() => {
    ticks++;
    return false;
  });
  pacer.wake(once);
  clock.advance(1_000);
  assert.deepEqual([ticks, pacer.activeCount], [1, 0]);
  pacer.wake(once);
  clock.advance(1_000);
  assert.equal(ticks, 2);
});

test('every one that stays is ticked once per tick while others leave and come', () => {
  const { clock, pacer } = mediaProcess();
  const counts = Array<number>(20).fill(0);
  counts.forEach((_, i) => {
    pacer.wake(
      paced(() => {
        counts[i] = (counts[i] ?? 0) + 1;
        return (counts[i] ?? 0) < i + 1;
      }),
    );
  });
  clock.advance(0);
  assert.deepEqual(counts, Array(20).fill(1));
  clock.advance(1_000);
  assert.deepEqual(
    counts,
    counts.map((_, i) => i + 1),
  );
});

test('a call that throws is logged and does not stop the others', () => {
  const { clock, metrics } = mediaProcess();
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const pacer = new Pacer({ clock, metrics, log: createLog({ process: 'test', destination }) });
  let ticks = 0;
  pacer.wake(
    paced(() => {
      throw new Error('a listener failed');
    }),
  );
  pacer.wake(paced(() => ++ticks < 5));
  clock.advance(200);
  assert.equal(ticks, 5);
  assert.match(lines[0] ?? '', /a call failed in the pacing tick/);
});

/** Fires its one timer by hand, each time as late as told. */
class LateClock implements Clock {
  #nowMs = 0;
  #pending: { dueMs: number; callback: () => void } | undefined;
  readonly #lateMs: number[];

  constructor(lateMs: number[]) {
    this.#lateMs = lateMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }
  wallMs(): number {
    return this.#nowMs;
  }
  after(delayMs: number, callback: () => void): Timer {
    this.#pending = { dueMs: this.#nowMs + delayMs, callback };
    return { cancel: () => undefined };
  }
  every(): Timer {
    throw new Error('not used');
  }
  fire(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#nowMs = (pending?.dueMs ?? this.#nowMs) + (this.#lateMs.shift() ?? 0);
    pending?.callback();
  }
}
