import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { decodeJwt } from 'jose';
import { readWav } from '../../simulators/audio/wav.ts';
import { type Azure, startAzure } from '../../simulators/azure.ts';
import { audioMessages, FarEnd, type SocketSeen, tone, trust, until } from './far_end.ts';

const dir = mkdtempSync(join(tmpdir(), 'rtvoice-media-'));
const HANG_UP = { kind: 'hangUp' as const };
let azure: Azure;

before(async () => {
  azure = await startAzure({ dir, timings: { pingMs: 50 } });
  trust(azure);
});
after(async () => {
  await azure.stop();
  rmSync(dir, { recursive: true });
});

type Audio = { data: string; silent: boolean };
const audioOf = (seen: SocketSeen | undefined): Audio[] =>
  (seen?.messages ?? []).filter(({ kind }) => kind === 'AudioData').map(({ audioData }) => audioData as Audio);

for (const rate of [16_000, 24_000] as const) {
  test(`headers, metadata first, then exactly the caller's frames: ${rate} Hz`, async () => {
    const farEnd = await FarEnd.start(azure, { rate });
    const script = [{ kind: 'say' as const, pcm: tone(400) }, { kind: 'pause' as const, ms: 100 }, HANG_UP];
    const record = await azure.placeCall({ ringUrl: farEnd.ringUrl, script }).done;
    const [seen] = farEnd.sockets;
    assert.equal(seen?.headers['x-ms-call-connection-id'], record.callConnectionId);
    assert.equal(seen?.headers['x-ms-call-correlation-id'], record.correlationId);
    const { exp = 0, iat = 0, aud } = decodeJwt(String(seen?.headers.authorization).replace('Bearer ', ''));
    assert.deepEqual([exp - iat, aud], [86_400, azure.env.RTVOICE_ACS_RESOURCE_ID]);
    const [metadata] = seen?.messages ?? [];
    assert.equal(metadata?.kind, 'AudioMetadata');
    const { sampleRate, length } = (metadata?.audioMetadata ?? {}) as { sampleRate?: number; length?: number };
    assert.deepEqual([sampleRate, length], [rate, (rate / 50) * 2]);
    const audio = audioOf(seen);
    assert.ok(audio.every(({ data }) => Buffer.from(data, 'base64').length === length));
    assert.equal(audio.filter(({ silent }) => !silent).length, 20, '400 ms are 20 frames');
    assert.ok(
      audio.filter(({ silent }) => silent).every(({ data }) => Buffer.from(data, 'base64').every((byte) => byte === 0)),
    );
    assert.equal(audio.length, record.framesSent);
    await until(() => seen?.closeCode !== undefined, 'the socket closes');
    assert.equal(seen?.closeCode, 1000);
    await farEnd.stop();
  });
}

test('a spoken text goes through flite, is kept on disk and is answered', async () => {
  const answer = audioMessages(tone(200));
  const farEnd = await FarEnd.start(azure, { onMessage: answerAfterSpeech(answer) });
  const script = [{ kind: 'say' as const, text: 'hello there' }, { kind: 'waitForAnswer' as const }, HANG_UP];
  const record = await azure.placeCall({ ringUrl: farEnd.ringUrl, script }).done;
  assert.equal(record.turns[0]?.spoken, 'hello there');
  assert.equal(record.turns[0]?.answered, true);
  assert.ok(record.turns[0]?.responseMs !== undefined && record.turns[0].responseMs >= 0);
  assert.ok(audioOf(farEnd.sockets[0]).some(({ silent }) => !silent));
  await farEnd.stop();
});

/** Sends `messages` once, in the first silent frame after speech. */
function answerAfterSpeech(messages: readonly string[]) {
  let spoken = false;
  let answered = false;
  return (seen: SocketSeen, message: SocketSeen['messages'][number]) => {
    if (message.kind !== 'AudioData' || answered) return;
    const { silent } = message.audioData as Audio;
    answered = spoken && silent;
    if (answered) for (const each of messages) seen.socket.send(each);
    spoken = !silent;
  };
}

test('names count in any letter case, what is none of the protocol is counted', async () => {
  const data = Buffer.from(tone(20).buffer).toString('base64');
  const farEnd = await FarEnd.start(azure, {
    onMessage: (seen, { kind }) => {
      if (kind !== 'AudioMetadata') return;
      seen.socket.send(JSON.stringify({ Kind: 'AudioData', AudioData: { Data: data }, StopAudio: null }));
      seen.socket.send(JSON.stringify({ kind: 'audioData', audioData: { data, isSilent: false }, stopAudio: {} }));
      seen.socket.send(JSON.stringify({ kind: 'AudioData', audioData: { data } }));
      for (const bad of ['no json', '[]', '{"kind":"Other"}', '{"kind":"AudioData","audioData":{"data":"AA=="}}'])
        seen.socket.send(bad);
      seen.socket.send(JSON.stringify({ kind: 'stopAudio', stopAudio: {} }));
    },
  });
  const record = await azure.placeCall({ ringUrl: farEnd.ringUrl, script: [{ kind: 'pause', ms: 200 }, HANG_UP] }).done;
  assert.equal(record.framesReceived, 3);
  assert.equal(record.malformedMessages, 4);
  assert.equal(record.stopAudios, 1);
  await farEnd.stop();
});

test('StopAudio empties the queue: of five seconds sent at once the caller hears what was played before it', async () => {
  const recordTo = join(dir, 'heard.wav');
  const answer = audioMessages(tone(5_000));
  const farEnd = await FarEnd.start(azure, { onMessage: answerAfterSpeech(answer) });
  const stop = (seen: SocketSeen) =>
    seen.socket.send(JSON.stringify({ kind: 'StopAudio', audioData: null, stopAudio: {} }));
  const script = [
    { kind: 'say' as const, pcm: tone(100) },
    { kind: 'interrupt' as const, afterMs: 300, pcm: tone(400), as: 'stop' },
    { kind: 'pause' as const, ms: 2_000 },
    HANG_UP,
  ];
  const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script, recordTo });
  const loud = () => audioOf(farEnd.sockets[0]).filter(({ silent }) => !silent).length;
  await until(() => loud() > 8, 'the caller speaks over the answer');
  const [seen] = farEnd.sockets;
  assert.ok(seen);
  stop(seen);
  seen.socket.send(answer[0] ?? '');
  const record = await call.done;
  assert.equal(record.stopAudios, 1);
  assert.equal(record.framesAfterStop, 1, 'one frame came after StopAudio while the caller spoke');
  const interruption = record.turns.find(({ spoken }) => spoken === 'stop');
  assert.ok(interruption?.bargeInMs !== undefined && interruption.bargeInMs >= 0);
  const heard = readWav(readFileSync(record.recording ?? ''));
  assert.ok(
    heard.some((sample) => sample !== 0),
    'the beginning was heard',
  );
  assert.ok(
    heard.subarray(-16_000).every((sample) => sample === 0),
    'nothing of the rest was heard in the last second',
  );
  await farEnd.stop();
});

test('keys come in band, and as events once continuous recognition is on', async () => {
  const farEnd = await FarEnd.start(azure);
  const script = [
    { kind: 'pause' as const, ms: 1_000 },
    { kind: 'dtmf' as const, tones: '12#', toneMs: 40 },
    { kind: 'pause' as const, ms: 200 },
    HANG_UP,
  ];
  const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script });
  await until(() => farEnd.types().includes('CallConnected'), 'connected');
  await farEnd.connections[0]?.getCallMedia().startContinuousDtmfRecognition({ phoneNumber: '+15551000001' });
  const record = await call.done;
  const inBand = farEnd.sockets[0]?.messages
    .filter(({ kind }) => kind === 'DtmfData')
    .map(({ dtmfData }) => (dtmfData as { data: string }).data);
  assert.deepEqual(inBand, ['1', '2', '#']);
  const events = farEnd.callbacks.filter(({ type }) => type === 'ContinuousDtmfRecognitionToneReceived');
  assert.deepEqual(
    events.map(({ data }) => [data.sequenceId, data.tone]),
    [
      [1, 'one'],
      [2, 'two'],
      [3, 'pound'],
    ],
  );
  assert.deepEqual(
    record.turns.map(({ spoken, kind }) => [spoken, kind]),
    [['12#', 'dtmf']],
  );
  await farEnd.stop();
});

test('the socket is pinged', async () => {
  const farEnd = await FarEnd.start(azure);
  const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script: [] });
  await until(() => (farEnd.sockets[0]?.pings ?? 0) >= 2, 'two pings');
  await call.hangUp();
  await farEnd.stop();
});

describe('a lost media socket', () => {
  const PAUSE = [{ kind: 'pause' as const, ms: 600_000 }];

  test('never: nothing is dialled or told, until startMediaStreaming dials again', async () => {
    const farEnd = await FarEnd.start(azure);
    const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script: PAUSE, faults: { mediaRedial: 'never' } });
    await until(() => farEnd.types().includes('MediaStreamingStarted'), 'media is up');
    const before = farEnd.callbacks.length;
    farEnd.sockets[0]?.socket.terminate();
    await until(() => call.record.mediaCloseCodes.length === 1, 'ACS has seen it');
    // Longer than every other setting waits before it dials.
    await until(() => call.record.framesUnsent > 30, 'frames find no socket');
    assert.equal(farEnd.sockets.length, 1);
    assert.equal(farEnd.callbacks.length, before);
    await farEnd.connections[0]?.getCallMedia().startMediaStreaming();
    await until(() => farEnd.sockets.length === 2, 'it is dialled again');
    assert.equal(farEnd.sockets[1]?.headers['x-ms-call-connection-id'], call.callConnectionId);
    await call.hangUp();
    await farEnd.stop();
  });

  test('once: it is dialled again with the same headers, and told', async () => {
    const farEnd = await FarEnd.start(azure);
    const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script: PAUSE, faults: { mediaRedial: 'once' } });
    await until(() => farEnd.types().includes('MediaStreamingStarted'), 'media is up');
    farEnd.sockets[0]?.socket.terminate();
    await until(() => detailsOf(farEnd).includes('streamConnectionReestablished'), 'it is told');
    assert.equal(farEnd.sockets.length, 2);
    assert.equal(
      farEnd.sockets[1]?.headers['x-ms-call-connection-id'],
      farEnd.sockets[0]?.headers['x-ms-call-connection-id'],
    );
    assert.equal(farEnd.sockets[1]?.messages[0]?.kind, 'AudioMetadata');
    assert.equal(call.record.mediaConnects, 2);
    await call.hangUp();
    await farEnd.stop();
  });

  test('backOffThenFail: a few tries, then MediaStreamingFailed 8581, and startMediaStreaming still works', async () => {
    let attempts = 0;
    let open = true;
    const farEnd = await FarEnd.start(azure, {
      refuseUpgrade: () => {
        attempts += 1;
        return open ? undefined : 503;
      },
    });
    const call = azure.placeCall({
      ringUrl: farEnd.ringUrl,
      script: PAUSE,
      faults: { mediaRedial: 'backOffThenFail' },
    });
    await until(() => farEnd.types().includes('MediaStreamingStarted'), 'media is up');
    open = false;
    farEnd.sockets[0]?.socket.terminate();
    await until(() => farEnd.types().includes('MediaStreamingFailed'), 'it is told');
    assert.equal(attempts, 6);
    const failed = farEnd.callbacks.find(({ type }) => type === 'MediaStreamingFailed');
    assert.equal((failed?.data.resultInformation as { subCode: number } | undefined)?.subCode, 8581);
    assert.equal(detailsOf(farEnd).at(-1), 'streamConnectionUnsuccessful');
    open = true;
    await farEnd.connections[0]?.getCallMedia().startMediaStreaming();
    await until(() => farEnd.sockets.length === 2, 'it is dialled again');
    await call.hangUp();
    await farEnd.stop();
  });

  test('a refused first dial is told as authenticationFailure', async () => {
    const farEnd = await FarEnd.start(azure, { refuseUpgrade: () => 401 });
    const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script: PAUSE, faults: { mediaRedial: 'never' } });
    await until(() => farEnd.types().includes('MediaStreamingFailed'), 'it is told');
    assert.deepEqual(detailsOf(farEnd), ['authenticationFailure']);
    await call.hangUp();
    await farEnd.stop();
  });

  test('startMediaStreaming with an open socket replaces it', async () => {
    const farEnd = await FarEnd.start(azure);
    const call = azure.placeCall({ ringUrl: farEnd.ringUrl, script: PAUSE });
    await until(() => farEnd.types().includes('MediaStreamingStarted'), 'media is up');
    await farEnd.connections[0]?.getCallMedia().startMediaStreaming();
    await until(
      () => farEnd.sockets.length === 2 && farEnd.sockets[0]?.closeCode !== undefined,
      'the old one is closed',
    );
    assert.deepEqual(call.record.mediaCloseCodes, [], 'that was no loss');
    await farEnd.connections[0]?.getCallMedia().stopMediaStreaming();
    await until(() => farEnd.types().includes('MediaStreamingStopped'), 'it stops');
    await call.hangUp();
    await farEnd.stop();
  });

  for (const [when, cutAt] of [
    ['while entering a code', 2],
    ['right after entering a code', 3],
  ] as const) {
    test(`a caller who was cut off ${when} enters it again`, async () => {
      let keys = 0;
      const answer = audioMessages(tone(100));
      const farEnd = await FarEnd.start(azure, {
        onMessage: (seen, { kind }) => {
          if (kind !== 'DtmfData') return;
          keys += 1;
          if (keys === cutAt) seen.socket.terminate();
          // Answered is the code entered after that alone.
          if (keys === cutAt + 3) for (const each of answer) seen.socket.send(each);
        },
      });
      const script = [
        { kind: 'dtmf' as const, tones: '12#', toneMs: 40 },
        { kind: 'waitForAnswer' as const, repeatAfterMs: 500, timeoutMs: 10_000 },
        HANG_UP,
      ];
      const faults = { mediaRedial: 'once' as const };
      const record = await azure.placeCall({ ringUrl: farEnd.ringUrl, script, faults }).done;
      assert.equal(record.turns.length, 1);
      assert.equal(record.turns[0]?.repeated, 1);
      assert.equal(record.turns[0]?.answered, true);
      assert.equal(record.mediaConnects, 2);
      await farEnd.stop();
    });
  }
});

function detailsOf(farEnd: FarEnd): unknown[] {
  return farEnd.callbacks
    .map(
      ({ data }) =>
        (data.mediaStreamingUpdate as { mediaStreamingStatusDetails?: string } | undefined)
          ?.mediaStreamingStatusDetails,
    )
    .filter((details) => details !== undefined);
}
