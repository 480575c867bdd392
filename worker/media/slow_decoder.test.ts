import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { arrayBuffer, audioFrame, mutate, referenceDecode, sinePcm } from '../../test/support/media.ts';
import { base64Bytes, decodeBase64 } from './base64.ts';
import { DROP_REASONS, decodeMessage } from './slow_decoder.ts';

const decode = (value: unknown) =>
  decodeMessage(arrayBuffer(typeof value === 'string' ? value : JSON.stringify(value)));
const why = (value: unknown) => {
  const message = decode(value);
  return message.kind === 'dropped' ? message.why : message.kind;
};
const DATA = Buffer.from([1, 0, 2, 0]).toString('base64');

test('reads names in any letter case, as SDKs and services write them', () => {
  for (const frame of [
    { kind: 'AudioData', audioData: { data: DATA, silent: true } },
    { Kind: 'AudioData', AudioData: { Data: DATA, Silent: true } },
    { kind: 'audioData', audioData: { data: DATA, silent: true } },
    { KIND: 'AUDIODATA', audiodata: { DATA, silent: true } },
  ]) {
    assert.deepEqual(decode(frame), { kind: 'audio', pcm: Int16Array.of(1, 2), silent: true });
  }
});

test('a name in the documented case wins over its variants', () => {
  const other = Buffer.from([9, 9]).toString('base64');
  assert.deepEqual(decode({ Kind: 'DtmfData', kind: 'AudioData', audioData: { Data: other, data: DATA } }), {
    kind: 'audio',
    pcm: Int16Array.of(1, 2),
    silent: false,
  });
});

test('decodes what a JSON writer escaped', () => {
  const pcm = Buffer.from([0xfb, 0xff, 0xbf, 0x3e, 0xff, 0xef]);
  const text = audioFrame(pcm, {}).replaceAll('+', '\\u002B').replaceAll('/', '\\/');
  assert.ok(text.includes('\\u002B') && text.includes('\\/'), 'the sample must need escapes');
  const message = decode(text);
  assert.ok(message.kind === 'audio');
  assert.deepEqual(Buffer.from(message.pcm.buffer), pcm);
});

test('reads metadata and tones', () => {
  const metadata = { subscriptionId: 's-1', encoding: 'PCM', sampleRate: 24000, channels: 1, length: 960 };
  assert.deepEqual(decode({ kind: 'AudioMetadata', audioMetadata: metadata }), {
    kind: 'metadata',
    sampleRateHertz: 24000,
    subscriptionId: 's-1',
  });
  for (const tone of [...'0123456789*#ABCD']) {
    assert.deepEqual(decode({ kind: 'DtmfData', dtmfData: { data: tone } }), { kind: 'dtmf', tone });
  }
  assert.deepEqual(decode({ kind: 'DtmfData', dtmfData: { data: 'd' } }), { kind: 'dtmf', tone: 'D' });
});

test('names the fault of what it drops', () => {
  const audio = (data: unknown) => ({ kind: 'AudioData', audioData: { data } });
  const faults: [unknown, string][] = [
    ['', 'badJson'],
    ['null', 'badJson'],
    ['[]', 'badJson'],
    ['{"kind":1}', 'badJson'],
    ['{"kind":"AudioData"', 'badJson'],
    [{ kind: 'TranscriptionData' }, 'unknownKind'],
    [audio(undefined), 'badAudio'],
    [audio(5), 'badAudio'],
    [{ kind: 'AudioData', audioData: [DATA] }, 'badAudio'],
    [audio('AQA'), 'badBase64'],
    [audio('AQ=A'), 'badBase64'],
    [audio('A==='), 'badBase64'],
    [audio('===='), 'badBase64'],
    [audio('AQ A'), 'badBase64'],
    [audio('AQ\u00e9A'), 'badBase64'],
    [audio(''), 'emptyAudio'],
    [audio('AQ=='), 'oddAudio'],
    [{ kind: 'DtmfData', dtmfData: { data: '11' } }, 'badDtmf'],
    [{ kind: 'DtmfData', dtmfData: { tone: '1' } }, 'badDtmf'],
    [{ kind: 'AudioMetadata', audioMetadata: { encoding: 'PCM', sampleRate: '16000' } }, 'badMetadata'],
    [{ kind: 'AudioMetadata', audioMetadata: { encoding: 'OPUS', sampleRate: 16000 } }, 'badMetadata'],
    [`{"kind":"AudioData","x":"${'a'.repeat(65_536)}"}`, 'tooLarge'],
  ];
  for (const [value, expected] of faults) assert.equal(why(value), expected, JSON.stringify(value).slice(0, 80));
  const seen = new Set(faults.map(([, fault]) => fault));
  assert.deepEqual([...seen].sort(), Object.keys(DROP_REASONS).sort(), 'every fault has a sample');
});

test('bytes that are no UTF-8 are no JSON', () => {
  const frame = Buffer.from(audioFrame(sinePcm(640), { participant: 'xxxx' }));
  frame[frame.indexOf('xxxx')] = 0xff;
  const message = decodeMessage(arrayBuffer(frame));
  assert.deepEqual(message, { kind: 'dropped', why: 'badJson' });
});

test('agrees with JSON.parse and strict base64 on mutated frames', () => {
  const seen = { audio: 0, dropped: 0 };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), fc.array(mutate(48), { maxLength: 2 }), (audio, mutations) => {
      const clean = Buffer.from(audioFrame(Buffer.from(audio), { timestamp: '2026-11-21T00:00:00Z' }));
      const bytes = mutations.reduce<Buffer>((frame, apply) => apply(frame), clean);
      const reference = referenceDecode(bytes);
      const message = decodeMessage(arrayBuffer(bytes));
      if (reference === undefined) {
        // a mutation may make a variant of a name, which the reference does not know; audio from nowhere it cannot make
        if (message.kind === 'audio') assert.match(bytes.toString('latin1'), /"data"/i);
        seen.dropped++;
        return;
      }
      seen.audio++;
      assert.ok(message.kind === 'audio', bytes.toString('latin1'));
      assert.deepEqual(Buffer.from(message.pcm.buffer), reference.pcm);
      assert.equal(message.silent, reference.silent);
    }),
    { numRuns: 2_000 },
  );
  assert.ok(seen.audio > 200 && seen.dropped > 200, JSON.stringify(seen));
});

test('never throws, whatever the bytes', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        decodeMessage(arrayBuffer(bytes));
      },
    ),
    { numRuns: 500 },
  );
});

test('base64 is taken exactly when the whole text is base64', () => {
  const letters = fc.constantFrom(...'ABCDEFGHabcdefgh0123+/-_===  "\\\n\u00e9');
  const strict = /^(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}==|[A-Za-z0-9+/_-]{3}=)?$/;
  const target = Buffer.alloc(64);
  fc.assert(
    fc.property(fc.string({ unit: letters, maxLength: 40 }), (text) => {
      const length = decodeBase64(text, target, 0);
      assert.equal(length >= 0, strict.test(text), JSON.stringify(text));
      if (length >= 0) assert.deepEqual(target.subarray(0, length), Buffer.from(text, 'base64'));
    }),
    { numRuns: 20_000 },
  );
  assert.equal(base64Bytes('AAAA'), 3);
  assert.equal(decodeBase64('A'.repeat(100), target, 0), -1, 'more than there is room for');
});
