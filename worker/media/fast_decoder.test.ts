import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  arrayBuffer,
  audioFrame,
  type FrameParts,
  mutate,
  referenceDecode,
  sinePcm,
} from '../../test/support/media.ts';
import { AUDIBLE, DECLINED, FastDecoder, SILENT } from './fast_decoder.ts';
import { decodeMessage } from './slow_decoder.ts';

const PREFIXES: FrameParts[] = [
  { timestamp: '2026-11-21T00:00:00.000Z', participant: '8:acs:00000000-0000-0000-0000-000000000000_1' },
  { timestamp: '2026-11-21T00:00:00Z', participant: '4:+4930123456' },
  { timestamp: '2026-11-21T00:00:00.120Z' },
  {},
];

function decoded(decoder: FastDecoder, text: string | Buffer, frameBytes: number): { result: number; pcm: Buffer } {
  const target = Buffer.alloc(frameBytes * 3, 0xee);
  const result = decoder.decode(arrayBuffer(text), target, frameBytes);
  assert.ok(
    target.subarray(0, frameBytes).every((byte) => byte === 0xee),
    'wrote before its slot',
  );
  assert.ok(
    target.subarray(frameBytes * 2).every((byte) => byte === 0xee),
    'wrote behind its slot',
  );
  return { result, pcm: Buffer.from(target.subarray(frameBytes, frameBytes * 2)) };
}

for (const frameBytes of [640, 960]) {
  test(`takes the documented form at ${frameBytes} bytes, with and without its optional fields`, () => {
    const decoder = new FastDecoder(frameBytes);
    const pcm = sinePcm(frameBytes);
    for (const parts of PREFIXES) {
      for (const silent of [true, false]) {
        for (let repeat = 0; repeat < 3; repeat++) {
          const { result, pcm: got } = decoded(decoder, audioFrame(pcm, { ...parts, silent }), frameBytes);
          assert.equal(result, silent ? SILENT : AUDIBLE);
          assert.deepEqual(got, pcm);
        }
      }
    }
  });

  test(`never decodes otherwise than JSON.parse and base64 do, at ${frameBytes} bytes`, () => {
    const accepted = { fast: 0 };
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: frameBytes, maxLength: frameBytes }),
        fc.constantFrom(...PREFIXES),
        fc.boolean(),
        fc.array(mutate(frameBytes), { maxLength: 3 }),
        (audio, parts, silent, mutations) => {
          const decoder = new FastDecoder(frameBytes);
          const clean = audioFrame(Buffer.from(audio), { ...parts, silent });
          decoded(decoder, clean, frameBytes); // the hint is learned, so that the mutated frame meets it
          const bytes = mutations.reduce<Buffer>((frame, apply) => apply(frame), Buffer.from(clean));
          const { result, pcm } = decoded(decoder, bytes, frameBytes);
          if (result === DECLINED) return;
          accepted.fast++;
          const reference = referenceDecode(bytes);
          assert.deepEqual(
            { pcm, silent: result === SILENT },
            { pcm: reference?.pcm, silent: reference?.silent },
            bytes.toString('latin1'),
          );
        },
      ),
      { numRuns: 3_000 },
    );
    assert.ok(accepted.fast > 300, `only ${accepted.fast} frames were accepted: the property proves little`);
  });
}

/** Each differs from a good frame in one respect; a decoder that trusts its hint would take some of them. */
const TRAPS: Record<string, (frame: string) => string> = {
  'data as the value of another object': (f) => f.replace('"audioData":{', '"audioDatb":{'),
  'kind of another letter case': (f) => f.replace('"AudioData"', '"AudioDatA"'),
  'quote within the base64': (f) => f.replace(/"data":"..../, '"data":"A"BC'),
  'escaped slash within the base64': (f) => f.replace(/"data":"....../, '"data":"\\/ABCD'),
  'escaped plus within the base64': (f) => f.replace(/"data":"....../, '"data":"\\u002B'),
  'space within the base64': (f) => f.replace(/"data":"..../, '"data":"A BC'),
  'padding within the base64': (f) => f.replace(/"data":"..../, '"data":"AB=='),
  'line feed within the base64': (f) => f.replace(/"data":"..../, '"data":"A\nBC'),
  'escape within the timestamp': (f) => f.replace('2026-11', '2026\\11'),
  'quote within the timestamp': (f) => f.replace('2026-11', '20","x1'),
  'quote within the participant': (f) => f.replace('8:acs:', '8:"cs:'),
  'missing brace': (f) => `${f.slice(0, -1)} `,
  'silent of another type': (f) => f.replace('"silent":false', '"silent":falsy'),
  'trailing bytes': (f) => `${f}}`,
  'leading space': (f) => ` ${f}`,
};

test('declines every trap although the hint of a good frame stands', () => {
  const pcm = sinePcm(640);
  const good = audioFrame(pcm, { ...PREFIXES[0], silent: false });
  for (const [name, change] of Object.entries(TRAPS)) {
    const decoder = new FastDecoder(640);
    assert.equal(decoded(decoder, good, 640).result, AUDIBLE);
    const trap = change(good);
    assert.notEqual(trap, good, name);
    assert.equal(decoded(decoder, trap, 640).result, DECLINED, name);
  }
});

test('declines other kinds and other lengths, which the slow path then judges', () => {
  const decoder = new FastDecoder(640);
  assert.equal(decoded(decoder, '{"kind":"DtmfData","dtmfData":{"data":"1"}}', 640).result, DECLINED);
  assert.equal(decoded(decoder, '', 640).result, DECLINED);
  for (const bytes of [638, 639, 641, 642, 320, 960]) {
    const frame = audioFrame(sinePcm(bytes), { silent: false });
    assert.equal(decoded(decoder, frame, 640).result, DECLINED, `${bytes}`);
    assert.equal(decodeMessage(arrayBuffer(frame)).kind, bytes % 2 === 0 ? 'audio' : 'dropped');
  }
});
