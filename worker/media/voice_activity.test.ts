import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { linePcm, speechPcm } from '../../bench/media/frames.ts';
import { sinePcm } from '../../test/support/media.ts';
import { EnergyGate, meanSquare } from './energy_gate.ts';
import { decimateByThree, openDetectors, VoiceDetector } from './fvad.ts';
import { VoiceActivity } from './voice_activity.ts';

const samples = (buffer: Buffer): Int16Array => new Int16Array(new Uint8Array(buffer).buffer);

function* framesOf(pcm: Int16Array, frameSamples: number): Generator<Int16Array> {
  for (let at = 0; at + frameSamples <= pcm.length; at += frameSamples) yield pcm.subarray(at, at + frameSamples);
}

/** The same audio at another rate, by straight lines between samples. */
function resample(pcm: Int16Array, from: number, to: number): Int16Array {
  return Int16Array.from({ length: Math.floor((pcm.length * to) / from) }, (_, i) => {
    const at = (i * from) / to;
    const left = pcm[Math.floor(at)] ?? 0;
    const right = pcm[Math.min(pcm.length - 1, Math.floor(at) + 1)] ?? 0;
    return Math.round(left + (right - left) * (at - Math.floor(at)));
  });
}

const share = (frames: Iterable<Int16Array>, isSpeech: (frame: Int16Array) => boolean): number => {
  let speech = 0;
  let all = 0;
  for (const frame of frames) {
    all++;
    if (isSpeech(frame)) speech++;
  }
  return speech / all;
};

let opened: { free(): void }[] = [];
const opens = <T extends { free(): void }>(detector: T): T => {
  opened.push(detector);
  return detector;
};
afterEach(() => {
  for (const detector of opened) detector.free();
  opened = [];
  assert.equal(openDetectors(), 0, 'a detector is left in WebAssembly memory');
});

for (const sampleRateHertz of [16_000, 24_000] as const) {
  test(`hears a voice and not the hiss of the line, at ${sampleRateHertz} Hz`, () => {
    const frame = sampleRateHertz / 50;
    const line = opens(new VoiceActivity({ sampleRateHertz, vadMode: 2 }));
    const quiet = resample(linePcm(250), 16_000, sampleRateHertz);
    const voice = resample(speechPcm(250), 16_000, sampleRateHertz);
    assert.ok(share(framesOf(quiet, frame), (pcm) => line.isSpeech(pcm)) === 0);
    assert.ok(share(framesOf(voice, frame), (pcm) => line.isSpeech(pcm)) > 0.9);
    assert.ok(
      share(framesOf(quiet.subarray(frame * 30), frame), (pcm) => line.isSpeech(pcm)) < 0.05,
      'after the voice',
    );
  });
}

test('a call has a detector of its own: one voice is not heard in another call', () => {
  const calls = Array.from({ length: 50 }, () => opens(new VoiceActivity({ sampleRateHertz: 16_000, vadMode: 2 })));
  const voice = [...framesOf(speechPcm(100), 320)];
  const line = [...framesOf(linePcm(100), 320)];
  const heard = calls.map((call, i) => share(i % 2 ? voice : line, (pcm) => call.isSpeech(pcm)));
  heard.forEach((part, i) => void assert.ok(i % 2 ? part > 0.9 : part === 0, `call ${i}: ${part}`));
});

test('detectors go on when the WebAssembly memory grows under them', () => {
  const first = opens(new VoiceDetector(16_000, 2));
  const voice = [...framesOf(speechPcm(60), 320)];
  const before = share(voice, (pcm) => first.isSpeech(pcm));
  for (let i = 0; i < 30_000; i++) opens(new VoiceDetector(16_000, 2));
  assert.ok(before > 0.9);
  assert.ok(share(voice, (pcm) => first.isSpeech(pcm)) > 0.9, 'the scratch memory was lost');
});

test('the end of a voice is seen within the 120 ms of the detector itself', () => {
  const call = opens(new VoiceActivity({ sampleRateHertz: 16_000, vadMode: 2 }));
  const pcm = Int16Array.from([...linePcm(20), ...speechPcm(100), ...linePcm(50)]);
  const verdicts = [...framesOf(pcm, 320)].map((frame) => call.isSpeech(frame));
  assert.ok(verdicts.slice(22, 120).every((speech) => speech));
  assert.ok(verdicts.slice(126).every((speech) => !speech));
});

test('a freed detector hears nothing and may be freed again', () => {
  const detector = opens(new VoiceDetector(16_000, 2));
  detector.free();
  detector.free();
  assert.equal(detector.isSpeech(speechPcm(1)), false);
  assert.equal(openDetectors(), 0);
});

test('24 kHz to 8 kHz keeps a tone of the telephone band and quietens what would alias into it', () => {
  const out = new Int16Array(160);
  const level = (hertz: number) => {
    decimateByThree(samples(sinePcm(960, 10_000, hertz, 24_000)), out);
    return Math.sqrt(out.subarray(4, 156).reduce((sum, value) => sum + value * value, 0) / 152) / (10_000 / Math.SQRT2);
  };
  assert.ok(level(300) > 0.95 && level(1_000) > 0.9, `${level(300)} ${level(1_000)}`);
  assert.ok(level(8_000) < 0.02 && level(7_500) < 0.05, `${level(8_000)} ${level(7_500)}`);
});

test('the gate learns a noisy line, and opens for a voice over it', () => {
  const gate = new EnergyGate();
  const noise = linePcm(400).map((value) => value * 6);
  let passed = 0;
  let late = 0;
  [...framesOf(noise, 320)].forEach((frame, i) => {
    const open = gate.passes(frame);
    gate.learn(false);
    if (open) passed++;
    if (open && i > 200) late++;
  });
  assert.ok(passed > 0, 'at first the noise is new');
  assert.equal(late, 0, 'four seconds later it is known');
  assert.equal(gate.passes(samples(sinePcm(640, 4_000))), true);
});

test('a mean square is right for constants and close for a tone', () => {
  assert.equal(meanSquare(new Int16Array(320).fill(-100)), 10_000);
  const tone = meanSquare(samples(sinePcm(640, 1_000, 437)));
  assert.ok(Math.abs(tone - 500_000) < 25_000, String(tone));
});
