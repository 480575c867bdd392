import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AudioQueue } from './audio_queue.ts';

const FRAME = 8;

test('gives back what went in, frame by frame, for every order of chunks of any length', () => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ write: fc.nat({ max: 50 }) }) },
    { weight: 8, arbitrary: fc.record({ take: fc.nat({ max: 8 }) }) },
    fc.constant({ pad: true }),
    fc.constant({ release: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
      const queue = new AudioQueue(FRAME, 20);
      let model: number[] = [];
      let next = 1;
      for (const action of steps) {
        if ('write' in action) {
          const pcm = Int16Array.from({ length: action.write }, () => next++ % 30_000);
          const taken = queue.write(pcm);
          assert.equal(taken, Math.min(pcm.length, 20 * FRAME - model.length), 'refuses only what is beyond the bound');
          model.push(...pcm.subarray(0, taken));
        } else if ('take' in action) {
          for (let i = 0; i < action.take && queue.frames > 0; i++) {
            const offset = queue.take();
            const bytes = queue.bytes.subarray(offset, offset + FRAME * 2);
            const frame = Array.from({ length: FRAME }, (_, k) => bytes.readInt16LE(k * 2));
            assert.deepEqual(frame, model.splice(0, FRAME));
          }
        } else if ('pad' in action) {
          queue.pad();
          while (model.length % FRAME !== 0) model.push(0);
        } else {
          queue.release();
          model = [];
        }
        assert.equal(queue.frames, Math.floor(model.length / FRAME));
      }
    }),
    { numRuns: 500 },
  );
});

test('holds no memory before its first audio and after its last', () => {
  const queue = new AudioQueue(320, 3_000);
  assert.equal(queue.bytes.length, 0);
  queue.write(new Int16Array(320 * 3_000));
  assert.equal(queue.bytes.length, 640 * 3_000);
  queue.release();
  assert.equal(queue.bytes.length, 0);
});
