import uWS from 'uWebSockets.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, test } from 'node:test';
import { WebSocket } from 'ws';
import { linePcm, speechPcm } from '../../bench/media/frames.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { MediaMetrics } from '../../worker/media/metrics.ts';
import { Pacer } from '../../worker/media/pacer.ts';
import type { MediaListener, MediaSocket, MediaStream } from '../../worker/media/ports.ts';
import { mediaSettings } from '../../worker/media/settings.ts';
import { createMediaStream } from '../../worker/media/stream.ts';
import { arrayBuffer, audioFrame } from '../support/media.ts';

/** The media stream on a real uWebSockets.js socket, with a client that speaks as ACS does. */

const FRAME = 320;
let app: uWS.TemplatedApp | undefined;
afterEach(() => app?.close());

function cover(socket: uWS.WebSocket<Connection>): MediaSocket & { closed: boolean } {
  const covered = {
    closed: false,
    send: (message: Uint8Array | string) => (covered.closed ? 2 : socket.send(message, false)),
    cork: (send: () => void) => {
      if (!covered.closed) socket.cork(send);
    },
    bufferedBytes: () => (covered.closed ? 0 : socket.getBufferedAmount()),
    end: (code: number, reason: string) => {
      if (!covered.closed) socket.end(code, reason);
    },
  };
  return covered;
}

interface Connection {
  covered?: MediaSocket & { closed: boolean };
}

async function serve(
  listen: (stream: () => MediaStream) => Partial<MediaListener>,
): Promise<{ client: WebSocket; stream: MediaStream }> {
  const metrics = new MediaMetrics(createRegistry({ processMetrics: false }));
  const pacer = new Pacer({ clock: systemClock, metrics, log: silentLog });
  const nothing = () => undefined;
  const listener: MediaListener = {
    onMetadata: nothing,
    onFrame: nothing,
    onDtmf: nothing,
    onPlaybackStarted: nothing,
    onPlaybackEnded: nothing,
    onMustClose: nothing,
    ...listen(() => stream),
  };
  const settings = mediaSettings({ sampleRateHertz: 16_000 });
  const stream: MediaStream = createMediaStream({ listener, pacer, settings, metrics, clock: systemClock });
  const port = await new Promise<number>((resolve) => {
    app = uWS.App().ws<Connection>('/*', {
      maxBackpressure: 64 * 1024,
      upgrade: (res, req, context) => res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context),
      open: (socket) => {
        const covered = cover(socket);
        socket.getUserData().covered = covered;
        stream.attach(covered);
      },
      message: (_socket, bytes) => stream.receive(bytes),
      close: (socket) => {
        const { covered } = socket.getUserData();
        if (!covered) return;
        covered.closed = true;
        stream.detach(covered);
      },
    });
    app.listen('127.0.0.1', 0, (listening) => listening && resolve(uWS.us_socket_local_port(listening)));
  });
  const client = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
  await once(client, 'open');
  return { client, stream };
}

function say(client: WebSocket, pcm: Int16Array): void {
  for (let at = 0; at < pcm.length; at += FRAME) {
    const bytes = Buffer.from(pcm.buffer, pcm.byteOffset + at * 2, FRAME * 2);
    client.send(Buffer.from(arrayBuffer(audioFrame(bytes, { timestamp: '2026-01-01T00:00:00.000Z' }))), {
      binary: false,
    });
  }
}

test('an answer arrives sample for sample, and a voice over it brings StopAudio as the last word', async () => {
  const answer = Int16Array.from({ length: FRAME * 200 }, (_, i) => (i % 30_000) + 1);
  const ended: { answerId: string; playedMs: number; stopped: boolean }[] = [];
  let tone = (): void => undefined;
  const toned = new Promise<void>((resolve) => {
    tone = resolve;
  });
  const { client, stream } = await serve((current) => ({
    onFrame: (_pcm, activity) => {
      if (activity === 'start') current().stopPlayback();
    },
    onPlaybackEnded: (answerId, playedMs, stopped) => void ended.push({ answerId, playedMs, stopped }),
    onDtmf: () => tone(),
  }));
  const received: { kind: string; audioData: { data: string } | null }[] = [];
  client.on('message', (data, isBinary) => {
    assert.equal(isBinary, false);
    const message = JSON.parse(String(data));
    received.push(message);
    if (received.length === 20) say(client, Int16Array.from([...linePcm(10), ...speechPcm(20)]));
    // frames of the answer that were on their way would come before the tone that is sent behind the stop
    if (message.kind === 'StopAudio') client.send('{"kind":"DtmfData","dtmfData":{"data":"1"}}');
  });
  stream.play('a', answer);
  await toned;
  assert.equal(received.at(-1)?.kind, 'StopAudio');
  const audio = received.slice(0, -1).map((message) => {
    assert.deepEqual(Object.keys(message), ['kind', 'audioData']);
    assert.equal(message.kind, 'AudioData');
    return Buffer.from(message.audioData?.data ?? '', 'base64');
  });
  assert.ok(audio.length >= 20 && audio.length < 200, String(audio.length));
  assert.deepEqual(Buffer.concat(audio), Buffer.from(answer.buffer, 0, audio.length * FRAME * 2));
  assert.deepEqual([ended.length, ended[0]?.answerId, ended[0]?.stopped], [1, 'a', true]);
  assert.ok((ended[0]?.playedMs ?? 0) <= audio.length * 20);
  const closed = once(client, 'close');
  stream.close('hangUp');
  const [code, reason] = await closed;
  assert.deepEqual([code, String(reason)], [1000, 'hangUp']);
});

test('a peer that keeps sending garbage is closed with 1003', async () => {
  const { client, stream } = await serve(() => ({}));
  const closed = once(client, 'close');
  for (let i = 0; i < 100; i++) client.send('{"kind":');
  const [code, reason] = await closed;
  assert.deepEqual([code, String(reason)], [1003, 'protocolViolation']);
  stream.close('hangUp');
});
