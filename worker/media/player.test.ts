import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mediaProcess, metric, RecordingListener, RecordingSocket } from '../../test/support/media.ts';
import { FrameEncoder } from './encoder.ts';
import { Player } from './player.ts';
import { mediaSettings } from './settings.ts';

const FRAME = 320;

function setUp(overrides: Partial<Parameters<typeof mediaSettings>[0]> = {}) {
  const { clock, registry, metrics, pacer } = mediaProcess();
  const settings = mediaSettings({ sampleRateHertz: 16_000, ...overrides });
  const listener = new RecordingListener(clock);
  let overloads = 0;
  const encoder = new FrameEncoder(FRAME * 2);
  const onOverload = () => void overloads++;
  const player = new Player({ listener, pacer, encoder, settings, metrics, onOverload });
  const socket = new RecordingSocket(clock);
  player.use(socket);
  return { clock, registry, pacer, listener, player, socket, settings, overloads: () => overloads };
}

/** Audio whose every sample tells its place, so that an order or a gap shows. */
const ramp = (samples: number, from = 0) => Int16Array.from({ length: samples }, (_, i) => ((from + i) % 30_000) + 1);
const ms = (milliseconds: number) => milliseconds * 16;
const samplesOf = (socket: RecordingSocket): number[] =>
  socket.audio.flatMap(({ pcm }) => [...new Int16Array(new Uint8Array(pcm).buffer)]);

test('plays chunks of any length without a lost or a doubled sample, and fills the last frame with silence', () => {
  const { clock, player, socket, listener } = setUp();
  for (let at = 0; at < ms(1_990); at += 777) player.play('a', ramp(Math.min(777, ms(1_990) - at), at));
  player.complete('a');
  clock.advance(3_000);
  assert.deepEqual(samplesOf(socket), [...ramp(ms(1_990)), ...Array(ms(10)).fill(0)]);
  assert.equal(player.playing, false);
  const [ended] = listener.of('ended');
  assert.deepEqual(
    { ...ended, atMs: undefined },
    { event: 'ended', answerId: 'a', playedMs: 1_990, stopped: false, atMs: undefined },
  );
  assert.ok(ended && ended.atMs >= 2_000 && ended.atMs <= 2_040, 'told when it was heard, not when it was sent');
});

test('never runs more than the lead ahead, and fills writes while it is ahead', () => {
  const { clock, player, socket, settings } = setUp();
  player.play('a', ramp(ms(4_000)));
  player.complete('a');
  clock.advance(6_000);
  socket.audio.forEach(({ atMs }, i) => {
    assert.ok((i + 1) * 20 - atMs <= settings.leadMs, `frame ${i} at ${atMs}`);
  });
  assert.equal(socket.audio.length, 200);
  assert.equal(socket.writes[0], 15, 'the lead goes out at once');
  assert.ok(
    socket.writes.slice(1, -1).every((frames) => frames === settings.framesPerWrite),
    socket.writes.join(' '),
  );
});

test('no gap over 40 ms inside an answer although every tick may be 100 ms late', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 100, maxLength: 100 }), (lateness) => {
      const { clock, player, socket } = setUp();
      player.play('a', ramp(ms(3_000)));
      player.complete('a');
      // a late event loop: ticks come when the loop lets them, driven by hand
      for (let i = 0, nowMs = 0; player.playing && i < 1_000; i++) {
        player.tick(nowMs);
        nowMs += 20 + (lateness[i % lateness.length] ?? 0);
        clock.advance(nowMs - clock.monotonicMs() - 0.001);
        clock.advance(0.001);
      }
      let playedOutAtMs = 0;
      socket.audio.forEach(({ atMs }, i) => {
        if (i > 0) assert.ok(atMs - playedOutAtMs <= 40, `a gap of ${atMs - playedOutAtMs} ms before frame ${i}`);
        playedOutAtMs = Math.max(playedOutAtMs, atMs) + 20;
      });
    }),
    { numRuns: 30 },
  );
});

test('barge-in: StopAudio at once, then nothing until a new answer, and the heard part is told', () => {
  const { clock, player, socket, listener } = setUp();
  player.play('a', ramp(ms(5_000)));
  clock.advance(1_000);
  const before = socket.audio.length;
  player.stop(clock.monotonicMs());
  assert.deepEqual(socket.sent.at(-1), { kind: 'stop', atMs: 1_000 });
  assert.deepEqual(listener.of('ended'), [
    { event: 'ended', answerId: 'a', playedMs: 1_000, stopped: true, atMs: 1_000 },
  ]);
  player.play('a', ramp(ms(500)));
  player.complete('a');
  clock.advance(2_000);
  assert.equal(socket.audio.length, before, 'late audio of the stopped answer is dropped');
  player.play('b', ramp(ms(100)));
  player.complete('b');
  clock.advance(1_000);
  assert.equal(socket.audio.length, before + 5);
});

test('a stop while two answers are on their way counts the unheard audio once, from its end', () => {
  const { clock, player, listener } = setUp();
  player.play('a', ramp(ms(200)));
  player.play('b', ramp(ms(2_000)));
  clock.advance(50);
  player.stop(clock.monotonicMs());
  assert.deepEqual(
    listener.of('ended').map(({ answerId, playedMs, stopped }) => [answerId, playedMs, stopped]),
    [
      ['a', 50, true],
      ['b', 0, true],
    ],
  );
});

test('a stop with nothing to stop sends nothing', () => {
  const { clock, player, socket } = setUp();
  player.stop(0);
  player.play('a', ramp(ms(40)));
  player.complete('a');
  clock.advance(5_000);
  player.stop(clock.monotonicMs());
  assert.deepEqual(
    socket.sent.map(({ kind }) => kind),
    ['audio', 'audio'],
  );
});

test('answers are heard in turn; an empty one ends in its turn as well', () => {
  const { clock, player, listener } = setUp();
  player.play('a', ramp(ms(100)));
  player.complete('empty');
  player.play('b', ramp(ms(60)));
  player.complete('b');
  clock.advance(1_000);
  const order = listener.heard.map((entry) => ('answerId' in entry ? `${entry.event} ${entry.answerId}` : ''));
  assert.deepEqual(order, ['started a', 'started b', 'ended a', 'ended empty', 'ended b']);
  assert.deepEqual(
    listener.of('ended').map(({ playedMs }) => playedMs),
    [100, 0, 60],
  );
});

test('the queue is bounded: what does not fit is refused and counted', async () => {
  const { player, registry } = setUp({ maxQueuedMs: 1_000 });
  player.play('a', ramp(ms(1_500)));
  assert.equal(await metric(registry, 'rtvoice_audio_frames_dropped_total', { why: 'queueFull' }), 25);
});

test('pauses without a socket and goes on with the next one where the last broke', () => {
  const { clock, player, socket, listener } = setUp();
  player.play('a', ramp(ms(2_000)));
  player.complete('a');
  clock.advance(500);
  player.use(undefined);
  clock.advance(30_000);
  const sent = socket.audio.length;
  assert.equal(listener.of('ended').length, 0);
  const next = new RecordingSocket(clock);
  player.use(next);
  clock.advance(3_000);
  assert.equal(socket.audio.length, sent);
  assert.deepEqual([...samplesOf(socket), ...samplesOf(next)], [...ramp(ms(2_000))]);
  assert.equal(listener.of('ended')[0]?.playedMs, 2_000);
});

test('a stop without a socket is sent to the next one before anything else', () => {
  const { clock, player } = setUp();
  player.play('a', ramp(ms(2_000)));
  clock.advance(500);
  player.use(undefined);
  player.stop(clock.monotonicMs());
  player.play('b', ramp(ms(200)));
  const next = new RecordingSocket(clock);
  player.use(next);
  clock.advance(1_000);
  assert.deepEqual(
    next.sent.map(({ kind }) => kind),
    ['stop', ...Array(10).fill('audio')],
  );
});

test('a slow reader loses the oldest audio, keeps its StopAudio and is given up after ten seconds', async () => {
  const { clock, player, socket, registry, overloads } = setUp();
  player.play('a', ramp(ms(8_000)));
  player.complete('a');
  clock.advance(1_000);
  socket.answer = 0;
  socket.buffered = 5_000;
  clock.advance(3_000);
  const whileStuck = socket.audio.length;
  socket.answer = 1;
  socket.buffered = 0;
  clock.advance(100);
  const skipped = await metric(registry, 'rtvoice_audio_frames_dropped_total', { why: 'slowReader' });
  assert.ok(skipped > 100 && skipped < 150, `three seconds less what was ahead: ${skipped}`);
  const first = samplesOf(socket)[whileStuck * FRAME];
  assert.equal(first, (((whileStuck + skipped) * FRAME) % 30_000) + 1, 'goes on with what is due now');
  socket.answer = 0;
  socket.buffered = 5_000;
  clock.advance(1_000);
  player.stop(clock.monotonicMs());
  assert.equal(socket.sent.at(-1)?.kind, 'stop', 'a stop is queued behind what the peer has not read');
  assert.equal(overloads(), 0);
  clock.advance(10_000);
  assert.ok(overloads() > 0);
});

test('a StopAudio that the socket refused is sent as soon as it takes it, before any audio', () => {
  const { clock, player, socket } = setUp();
  player.play('a', ramp(ms(1_000)));
  clock.advance(200);
  socket.answer = 2;
  player.stop(clock.monotonicMs());
  player.play('b', ramp(ms(100)));
  const before = socket.sent.length;
  clock.advance(200);
  assert.equal(socket.sent.length, before);
  socket.answer = 1;
  clock.advance(200);
  assert.deepEqual(
    socket.sent.slice(before).map(({ kind }) => kind),
    ['stop', ...Array(5).fill('audio')],
  );
});

/** Anything that calls, sockets and time can do to a player. */
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ play: fc.nat({ max: 20 }), samples: fc.integer({ min: 1, max: 6_000 }) }) },
    fc.record({ complete: fc.nat({ max: 20 }) }),
    { weight: 3, arbitrary: fc.record({ advance: fc.integer({ min: 1, max: 400 }) }) },
    fc.constant({ stop: true }),
    fc.constant({ detach: true }),
    fc.constant({ attach: true }),
    fc.record({ answer: fc.constantFrom(0, 1, 2) }),
  ),
  { maxLength: 60 },
);

test('invariant: no audio of an answer after the StopAudio that ended it, every answer starts and ends once', () => {
  const seen = { stops: 0, audio: 0 };
  fc.assert(
    fc.property(steps, (actions) => {
      const { clock, player, listener } = setUp();
      const sockets = [new RecordingSocket(clock)];
      player.use(sockets[0]);
      const newest = () => sockets.at(-1) as RecordingSocket;
      const stopped = new Set<number>();
      let accepted = new Set<number>();
      const known = new Set<number>();
      for (const action of actions) {
        if ('play' in action) {
          // each sample of an answer carries its number, so that a frame tells whose it is
          player.play(String(action.play), new Int16Array(action.samples).fill(action.play + 1));
          if (!known.has(action.play)) accepted.add(action.play);
          known.add(action.play);
        } else if ('complete' in action) {
          player.complete(String(action.complete));
          if (!known.has(action.complete)) accepted.add(action.complete);
          known.add(action.complete);
        } else if ('advance' in action) clock.advance(action.advance);
        else if ('stop' in action) {
          player.stop(clock.monotonicMs());
          for (const answer of accepted) stopped.add(answer);
          accepted = new Set();
        } else if ('detach' in action) player.use(undefined);
        else if ('attach' in action) {
          sockets.push(new RecordingSocket(clock));
          player.use(newest());
        } else {
          newest().answer = action.answer as 0 | 1 | 2;
          newest().buffered = action.answer === 1 ? 0 : 1;
        }
        for (const socket of sockets) checkNothingOf(stopped, socket, seen);
      }
      const ended = listener.of('ended').map(({ answerId }) => answerId);
      assert.equal(new Set(ended).size, ended.length, 'an answer ended twice');
      const started = listener.of('started').map(({ answerId }) => answerId);
      assert.equal(new Set(started).size, started.length, 'an answer started twice');
    }),
    { numRuns: 1_000 },
  );
  assert.ok(seen.stops > 100 && seen.audio > 1_000, JSON.stringify(seen));
});

const checked = new WeakMap<RecordingSocket, number>();

/** Looks at what a socket was sent since the last look: none of it may belong to an answer that has been stopped. */
function checkNothingOf(
  stopped: ReadonlySet<number>,
  socket: RecordingSocket,
  seen: { stops: number; audio: number },
): void {
  for (const message of socket.sent.slice(checked.get(socket) ?? 0)) {
    if (message.kind === 'stop') seen.stops++;
    else {
      seen.audio++;
      const owner = message.pcm.readInt16LE(0) - 1;
      assert.ok(!stopped.has(owner), `audio of answer ${owner} after its StopAudio`);
    }
  }
  checked.set(socket, socket.sent.length);
}
