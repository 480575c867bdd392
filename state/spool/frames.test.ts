import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFrames, encodeFrame, type Frame, openRecords, type SpoolRecord } from './frames.ts';

export const record = (n: number, callConnectionId = 'c1'): SpoolRecord => ({
  ...{ callConnectionId, callRef: `r-${callConnectionId}`, entryId: `turn-${n}`, kind: 'turn' },
  ...{ dedupeId: `turn-${n}#x`, text: `{"v":1,"alg":"none","body":{"n":${n},"text":"ü"}}` },
});

const arbitrary = fc.oneof(
  fc.integer({ min: 1, max: 20 }).map((n): Frame => ({ put: record(n) })),
  fc
    .array(fc.integer({ min: 1, max: 20 }), { maxLength: 4 })
    .map((ns): Frame => ({ done: { callConnectionId: 'c1', entryIds: ns.map((n) => `turn-${n}`) } })),
);

test('cut anywhere, every whole frame before the cut is read and nothing else', () => {
  fc.assert(
    fc.property(fc.array(arbitrary, { maxLength: 12 }), fc.double({ min: 0, max: 1, noNaN: true }), (frames, share) => {
      const encoded = frames.map(encodeFrame);
      const bytes = Buffer.concat(encoded);
      const cut = Math.floor(bytes.length * share);
      let whole = 0;
      let end = 0;
      for (const each of encoded) {
        if (end + each.length > cut) break;
        end += each.length;
        whole += 1;
      }
      const read = decodeFrames(bytes.subarray(0, cut));
      assert.deepEqual(read, { frames: frames.slice(0, whole), torn: cut - end });
    }),
  );
});

test('a flipped bit ends the reading before its frame', () => {
  const bytes = Buffer.concat([encodeFrame({ put: record(1) }), encodeFrame({ put: record(2) })]);
  const first = encodeFrame({ put: record(1) }).length;
  for (let at = first; at < bytes.length; at++) {
    const broken = Buffer.from(bytes);
    broken[at] = (broken[at] ?? 0) ^ 1;
    assert.deepEqual(decodeFrames(broken).frames, [{ put: record(1) }], `bit at ${at}`);
  }
});

test('what Redis has need not be brought, and what is written again is', () => {
  const done = (n: number): Frame => ({ done: { callConnectionId: 'c1', entryIds: [`turn-${n}`] } });
  const frames: Frame[] = [
    { put: record(1) },
    { put: record(2) },
    done(1),
    { put: record(3) },
    done(9),
    { put: record(1, 'c2') },
  ];
  assert.deepEqual(openRecords(frames), [record(2), record(3), record(1, 'c2')]);
  assert.deepEqual(openRecords([{ put: record(1) }, done(1), { put: record(1) }]), [record(1)]);
});
