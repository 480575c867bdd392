import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRegistry } from '../../../platform/metrics.ts';
import { createVoiceMetrics } from '../metrics.ts';
import type { VoiceListener } from '../ports.ts';
import { EchoBackend } from './backend.ts';

function listener() {
  const turns: string[] = [];
  const answers: string[] = [];
  let samples = 0;
  const voice: VoiceListener = {
    onSpeechStarted: () => undefined,
    onPartial: () => undefined,
    onCallerTurn: ({ text }) => void turns.push(text),
    onAnswerStarted: () => undefined,
    onAudio: (_id, pcm) => {
      samples += pcm.length;
    },
    onAnswerEnded: ({ answerId, text }) => void answers.push(`${answerId}:${text}`),
    onError: (error) => assert.fail(String(error)),
  };
  return { voice, turns, answers, samples: () => samples };
}

const backend = new EchoBackend(createVoiceMetrics(createRegistry({ processMetrics: false })));
const open = (voice: VoiceListener, resume?: { dialogue: unknown; history: [] }) =>
  backend.open({ callRef: 'c', sampleRateHertz: 16_000, listener: voice, calledBefore: false, resume });

test('keys up to # are a turn, answered by a tone of 200 ms', () => {
  const heard = listener();
  const session = open(heard.voice);
  for (const tone of '12#') session.dtmf(tone);
  session.dtmf('#');
  assert.deepEqual(heard.turns, ['12']);
  assert.deepEqual(heard.answers, ['echo-1:echo 12']);
  assert.equal(heard.samples(), 3_200);
});

test('after a takeover answers have new ids', () => {
  const before = listener();
  const first = open(before.voice);
  for (const tone of '1#2#') first.dtmf(tone);
  const afterwards = listener();
  const second = open(afterwards.voice, { dialogue: JSON.parse(JSON.stringify(first.snapshot())), history: [] });
  for (const tone of '3#') second.dtmf(tone);
  assert.deepEqual(afterwards.answers, ['echo-3:echo 3']);
});
