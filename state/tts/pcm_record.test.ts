import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodePcm, encodePcm } from './pcm_record.ts';

test('every phrase comes back as it was, from any place in a buffer', () => {
  fc.assert(
    fc.property(fc.int16Array({ maxLength: 500 }), fc.integer({ min: 0, max: 3 }), (pcm, shift) => {
      const record = Buffer.concat([Buffer.alloc(shift), encodePcm(pcm, 16_000)]).subarray(shift);
      assert.deepEqual(decodePcm(record, 16_000), pcm);
    }),
  );
});

test('cut, foreign or differently sampled records are no audio', () => {
  const record = encodePcm(Int16Array.of(1, 2, 3), 16_000);
  assert.equal(decodePcm(record, 24_000), undefined);
  for (let length = 0; length < record.length; length++)
    assert.equal(decodePcm(record.subarray(0, length), 16_000), undefined);
  const newer = Buffer.from(record);
  newer.writeUInt8(2, 4);
  assert.equal(decodePcm(newer, 16_000), undefined);
  assert.equal(decodePcm(Buffer.from('RIFF'.repeat(8)), 16_000), undefined);
});
