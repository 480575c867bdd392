import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readWav, wavBytes } from './wav.ts';

test('what is written is read again', () => {
  fc.assert(
    fc.property(fc.int16Array(), (pcm) => {
      assert.deepEqual(readWav(wavBytes([pcm], 16_000)), pcm);
    }),
  );
});

test('another format is refused and named', () => {
  assert.throws(() => readWav(wavBytes([new Int16Array(8)], 24_000)), {
    code: 'ERR_SIMULATOR_WAV',
    message: /24000 Hz/,
  });
  assert.throws(() => readWav(Buffer.from('nothing')), { code: 'ERR_SIMULATOR_WAV', message: /RIFF/ });
});
