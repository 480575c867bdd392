import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { linePcm, speechPcm } from '../../bench/media/frames.ts';
import {
  arrayBuffer,
  audioFrame,
  mediaProcess,
  metric,
  RecordingListener,
  RecordingSocket,
  sinePcm,
} from '../../test/support/media.ts';
import { openDetectors } from './fvad.ts';
import type { MediaStream } from './ports.ts';
import { type MediaSettings, mediaSettings } from './settings.ts';
import { createMediaStream } from './stream.ts';

const FRAME = 320;
let streams: MediaStream[] = [];

function setUp(overrides: Partial<MediaSettings> = {}) {
  const { clock, registry, metrics, pacer } = mediaProcess();
  const listener = new RecordingListener(clock);
  const settings = mediaSettings({ sampleRateHertz: 16_000, ...overrides });
  const stream = createMediaStream({ listener, pacer, settings, metrics, clock });
  streams.push(stream);
  const socket = new RecordingSocket(clock);
  stream.attach(socket);
  return { clock, registry, metrics, listener, stream, socket };
}

afterEach(() => {
  for (const stream of streams) stream.close('hangUp');
  streams = [];
  assert.equal(openDetectors(), 0, 'a closed call left its detector behind');
});

const pcmBytes = (pcm: Int16Array): Buffer => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);

function say(stream: MediaStream, pcm: Int16Array, silent = false): void {
  for (let at = 0; at < pcm.length; at += FRAME) {
    stream.receive(
      arrayBuffer(
        audioFrame(pcmBytes(pcm.subarray(at, at + FRAME)), { timestamp: '2026-01-01T00:00:00.000Z', silent }),
      ),
    );
  }
}

/** 1 s of line, 1 s of voice, 1.2 s of line. */
const utterance = (): Int16Array => Int16Array.from([...linePcm(50), ...speechPcm(50), ...linePcm(60)]);

test('every frame is heard once and in order, an utterance with its pre-roll', () => {
  const { stream, listener } = setUp();
  const pcm = utterance();
  say(stream, pcm);
  say(stream, linePcm(15)); // pushes the held frames of the silence out
  const frames = listener.of('frame');
  assert.deepEqual(
    frames.slice(0, 160).flatMap((frame) => [...frame.pcm]),
    [...pcm],
    'no frame is lost, doubled or moved',
  );
  const activities = frames.map(({ activity }) => activity);
  const start = activities.indexOf('start');
  const end = activities.indexOf('end');
  assert.ok(start >= 38 && start <= 45, `200 ms before the voice at 50: ${start}`);
  assert.ok(end >= 120 && end <= 135, `500 ms behind the voice at 100: ${end}`);
  assert.deepEqual([...new Set(activities.slice(0, start))], ['silence']);
  assert.deepEqual([...new Set(activities.slice(start + 1, end))], ['speech']);
  assert.deepEqual([...new Set(activities.slice(end + 1))], ['silence']);
});

test('a start is told within 100 ms of the first voice, so that a barge-in is in time', () => {
  const { stream, listener } = setUp();
  say(stream, linePcm(50));
  let frames = 0;
  const voice = speechPcm(20);
  while (listener.of('frame').every(({ activity }) => activity !== 'start')) {
    say(stream, voice.subarray(frames * FRAME, (frames + 1) * FRAME));
    frames++;
    assert.ok(frames <= 5, 'later than 100 ms');
  }
});

test('frames that ACS marks silent are silence, whatever they hold', () => {
  const { stream, listener } = setUp();
  say(stream, speechPcm(100), true);
  assert.deepEqual([...new Set(listener.of('frame').map(({ activity }) => activity))], ['silence']);
});

test('with turn detection off each frame comes at once and no detector is made', () => {
  const { stream, listener } = setUp({ turnDetection: 'off' });
  assert.equal(openDetectors(), 0);
  say(stream, speechPcm(2));
  say(stream, linePcm(1), true);
  assert.deepEqual(
    listener.of('frame').map(({ activity }) => activity),
    ['silence', 'silence', 'silence'],
  );
  assert.deepEqual(listener.of('frame')[1]?.pcm, speechPcm(2).subarray(FRAME));
});

test('24 kHz: frames of 960 bytes both ways', () => {
  const { stream, listener, clock, socket } = setUp({ sampleRateHertz: 24_000, turnDetection: 'off' });
  const pcm = sinePcm(960, 9_000, 440, 24_000);
  stream.receive(arrayBuffer(audioFrame(pcm, {})));
  assert.deepEqual(pcmBytes(listener.of('frame')[0]?.pcm ?? new Int16Array()), pcm);
  stream.play('a', new Int16Array(480).fill(7));
  clock.advance(100);
  assert.equal(socket.audio[0]?.pcm.length, 960);
});

test('frames of another length are cut into frames, and whole ones behind them keep their place', () => {
  const { stream, listener } = setUp({ turnDetection: 'off' });
  const pcm = Int16Array.from({ length: FRAME * 6 }, (_, i) => i);
  let at = 0;
  for (const samples of [160, 480, 320, 100, 320, 540]) {
    stream.receive(arrayBuffer(audioFrame(pcmBytes(pcm.subarray(at, at + samples)), {})));
    at += samples;
  }
  assert.equal(at, pcm.length);
  assert.deepEqual(
    listener.of('frame').flatMap((frame) => [...frame.pcm]),
    [...pcm],
  );
});

test('metadata and tones reach the call; unknown kinds are counted and close nothing', async () => {
  const { stream, listener, socket, registry } = setUp();
  const send = (message: unknown) => stream.receive(arrayBuffer(JSON.stringify(message)));
  send({
    kind: 'AudioMetadata',
    audioMetadata: { subscriptionId: 's', encoding: 'PCM', sampleRate: 16_000, channels: 1 },
  });
  send({ kind: 'DtmfData', dtmfData: { data: '5' } });
  for (let i = 0; i < 500; i++) send({ kind: 'TranscriptionData' });
  assert.deepEqual(listener.heard, [
    { event: 'metadata', sampleRateHertz: 16_000, subscriptionId: 's' },
    { event: 'dtmf', tone: '5' },
  ]);
  assert.equal(socket.ended, undefined);
  assert.equal(await metric(registry, 'rtvoice_media_malformed_total', { why: 'unknownKind' }), 500);
});

test('a hundred malformed messages within a second close the socket with 1003, fewer do not', async () => {
  const { stream, clock, socket, listener, registry } = setUp();
  for (let i = 0; i < 300; i++) {
    stream.receive(arrayBuffer('{'));
    clock.advance(10.2);
  }
  assert.equal(socket.ended, undefined, '98 a second are borne');
  clock.advance(2_000);
  for (let i = 0; i < 99; i++) stream.receive(arrayBuffer('{'));
  assert.equal(socket.ended, undefined);
  stream.receive(arrayBuffer('{'));
  assert.deepEqual(socket.ended, { code: 1003, reason: 'protocolViolation' });
  assert.deepEqual(listener.of('mustClose'), [{ event: 'mustClose', reason: 'protocolViolation' }]);
  assert.equal(stream.attached, false);
  assert.equal(await metric(registry, 'rtvoice_media_malformed_total', { why: 'badJson' }), 400);
});

test('a newer socket supersedes, and the end of the older one changes nothing', () => {
  const { stream, clock, socket, listener } = setUp();
  const next = new RecordingSocket(clock);
  stream.attach(next);
  assert.deepEqual(socket.ended, { code: 1000, reason: 'superseded' });
  stream.detach(socket);
  assert.equal(stream.attached, true);
  assert.equal(listener.of('mustClose').length, 0, 'the call asked for it itself');
  stream.detach(next);
  assert.equal(stream.attached, false);
  stream.receive(arrayBuffer(audioFrame(sinePcm(640), {})));
  assert.equal(listener.of('frame').length, 0);
});

test('a call that closes or stops from within a callback is safe', () => {
  const { clock, metrics, pacer } = mediaProcess();
  const socket = new RecordingSocket(clock);
  let frames = 0;
  let framesAtClose = 0;
  const stream: MediaStream = createMediaStream({
    clock,
    metrics,
    pacer,
    settings: mediaSettings({ sampleRateHertz: 16_000 }),
    listener: {
      onMetadata: () => undefined,
      onDtmf: () => undefined,
      onMustClose: () => undefined,
      onPlaybackEnded: () => undefined,
      onPlaybackStarted: () => stream.stopPlayback(),
      onFrame: (_pcm, activity) => {
        frames++;
        if (activity !== 'start') return;
        framesAtClose = frames;
        stream.close('hangUp');
      },
    },
  });
  streams.push(stream);
  stream.attach(socket);
  stream.play('a', new Int16Array(FRAME * 100).fill(1));
  clock.advance(500);
  assert.equal(socket.sent.at(-1)?.kind, 'stop');
  assert.equal(socket.audio.length, 15);
  say(stream, utterance());
  assert.deepEqual(socket.ended, { code: 1000, reason: 'hangUp' });
  assert.ok(framesAtClose > 0);
  assert.equal(frames, framesAtClose, 'nothing is told behind the close');
  stream.play('b', new Int16Array(FRAME));
  clock.advance(500);
  assert.equal(socket.audio.length, 15);
});

test('an overloaded peer is closed and the call may go on with another socket', () => {
  const { stream, clock, socket, listener } = setUp();
  stream.play('a', new Int16Array(FRAME * 2_000).fill(3));
  socket.answer = 0;
  socket.buffered = 1;
  clock.advance(10_100);
  assert.deepEqual(socket.ended, { code: 1013, reason: 'overload' });
  assert.deepEqual(listener.of('mustClose'), [{ event: 'mustClose', reason: 'overload' }]);
  const next = new RecordingSocket(clock);
  stream.attach(next);
  clock.advance(1_000);
  assert.ok(next.audio.length > 50);
});

test('counts frames and buffered bytes at the scrape', async () => {
  const { stream, clock, socket, registry } = setUp();
  say(stream, linePcm(30));
  stream.play('a', new Int16Array(FRAME * 10));
  stream.endOfAnswer('a');
  stream.play('a', new Int16Array(FRAME * 2));
  clock.advance(1_000);
  socket.buffered = 1_234;
  assert.equal(await metric(registry, 'rtvoice_audio_frames_in_total'), 30);
  assert.equal(await metric(registry, 'rtvoice_audio_frames_out_total'), 10);
  assert.equal(await metric(registry, 'rtvoice_audio_frames_dropped_total', { why: 'staleAnswer' }), 2);
  assert.equal(await metric(registry, 'rtvoice_ws_buffered_bytes'), 1_234);
  stream.detach(socket);
  assert.equal(await metric(registry, 'rtvoice_ws_buffered_bytes'), 0);
});
