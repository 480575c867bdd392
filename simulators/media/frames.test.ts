import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audioMessage, encodeFrames, parseWorkerMessage, silentFrame } from './frames.ts';

test('frames are 20 ms, the last filled with zeros, silence marked', () => {
  const pcm = new Int16Array(700).fill(1_000, 320);
  const frames = encodeFrames(pcm, 16_000);
  assert.deepEqual(
    frames.map(({ silent }) => silent),
    [true, false, false],
  );
  assert.ok(frames.every(({ base64 }) => Buffer.from(base64, 'base64').length === 640));
  assert.equal(Buffer.from(silentFrame(24_000).base64, 'base64').length, 960);
});

test('a message put together by hand is the JSON it should be', () => {
  const [frame] = encodeFrames(new Int16Array(320).fill(-7), 16_000);
  assert.ok(frame);
  assert.deepEqual(JSON.parse(audioMessage('2026-01-01T00:00:00.000Z', frame)), {
    kind: 'AudioData',
    audioData: { timestamp: '2026-01-01T00:00:00.000Z', data: frame.base64, silent: true },
  });
});

const data = Buffer.from(Int16Array.of(1, -2).buffer).toString('base64');
for (const message of [
  { kind: 'AudioData', audioData: { data } },
  { Kind: 'AudioData', AudioData: { Data: data }, StopAudio: null },
  { kind: 'audioData', audioData: { data, isSilent: false }, stopAudio: {} },
]) {
  test(`audio in the letter case of ${JSON.stringify(Object.keys(message))}`, () => {
    assert.deepEqual(parseWorkerMessage(Buffer.from(JSON.stringify(message))), {
      kind: 'audio',
      pcm: Int16Array.of(1, -2),
    });
  });
}

for (const kind of ['StopAudio', 'stopAudio']) {
  test(`${kind} stops`, () => {
    assert.equal(
      parseWorkerMessage(Buffer.from(JSON.stringify({ kind, audioData: null, stopAudio: {} }))).kind,
      'stopAudio',
    );
  });
}

for (const text of [
  '',
  '{',
  '[]',
  'null',
  '{}',
  '{"kind":"AudioData"}',
  '{"kind":"AudioData","audioData":{"data":""}}',
]) {
  test(`malformed: ${text}`, () => assert.equal(parseWorkerMessage(Buffer.from(text)).kind, 'malformed'));
}
