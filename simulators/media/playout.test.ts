import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Playout } from './playout.ts';

const loud = (frames: number) => new Int16Array(320 * frames).fill(5_000);
const quiet = (frames: number) => new Int16Array(320 * frames);

function play() {
  const log: string[] = [];
  const played: (Int16Array | undefined)[] = [];
  const playout = new Playout(16_000, {
    onAnswerStarted: () => log.push('started'),
    onAnswerEnded: () => log.push('ended'),
    onGap: (ms) => log.push(`gap ${ms}`),
    onPlayed: (pcm) => played.push(pcm),
  });
  const tick = (times: number) => {
    for (let n = 0; n < times; n++) playout.tick();
  };
  return { playout, log, played, tick };
}

test('an answer begins with its first audible frame and ends after 300 ms without audio', () => {
  const { playout, log, tick } = play();
  playout.receive(quiet(2), 0);
  assert.deepEqual(log, []);
  playout.receive(loud(3), 0);
  assert.deepEqual(log, ['started']);
  tick(5 + 14);
  assert.equal(playout.answering, true);
  assert.equal(playout.dryMs, 280);
  tick(1);
  assert.deepEqual(log, ['started', 'ended']);
});

test('dry for over 40 ms within an answer is a gap, 40 ms and less are not', () => {
  const { playout, log, tick } = play();
  playout.receive(loud(1), 0);
  tick(3);
  playout.receive(loud(1), 0);
  assert.deepEqual(log, ['started']);
  tick(4);
  playout.receive(loud(1), 0);
  assert.deepEqual(log, ['started', 'gap 60']);
});

test('StopAudio empties the queue at once', () => {
  const { playout, log, played, tick } = play();
  playout.receive(loud(250), 0);
  tick(10);
  playout.stop();
  assert.equal(playout.queuedSamples, 0);
  tick(5);
  assert.equal(played.filter((pcm) => pcm !== undefined).length, 10);
  assert.deepEqual(log, ['started', 'ended']);
  playout.receive(loud(1), 0);
  assert.deepEqual(log, ['started', 'ended', 'started'], 'what comes next is a new answer');
});

test('over a minute of queued audio is dropped and counted', () => {
  const { playout } = play();
  playout.receive(loud(3_000), 0);
  playout.receive(loud(1), 0);
  assert.equal(playout.overflowSamples, 320);
  assert.equal(playout.queuedSamples, 960_000);
});

test('what is played is what was received, in order, whatever the sizes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 2_000 }), { maxLength: 30 }), (sizes) => {
      const { playout, played, tick } = play();
      let next = 1;
      const sent = sizes.map((size) => Int16Array.from({ length: size }, () => (next = (next % 30_000) + 1)));
      for (const pcm of sent) playout.receive(pcm, 0);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      tick(Math.ceil(total / 320) + 2);
      const heard = played.flatMap((pcm) => (pcm ? [...pcm] : []));
      assert.deepEqual(
        heard.slice(0, total),
        sent.flatMap((pcm) => [...pcm]),
      );
      assert.ok(heard.slice(total).every((sample) => sample === 0));
    }),
  );
});
