import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { batchesOf, batchVerdict, MAX_BATCH_BYTES, MAX_BATCH_OPERATIONS } from './batches.ts';

const item = fc.record({ partition: fc.constantFrom('p', 'q'), sizeBytes: fc.constantFrom(10, 300_000, 2_500_000) });

test('batches keep the order, the partition and the limits, and lose nothing', () => {
  fc.assert(
    fc.property(fc.array(item, { maxLength: 260 }), (items) => {
      const placed = items.map(({ partition, sizeBytes }, n) => ({
        placement: {
          container: 'transcripts' as const,
          partition,
          document: { id: `${n}`, text: 'x'.repeat(sizeBytes) },
        },
      }));
      const batches = batchesOf(placed);
      assert.deepEqual(batches.flat(), placed);
      for (const batch of batches) {
        assert.ok(batch.length > 0 && batch.length <= MAX_BATCH_OPERATIONS);
        assert.equal(new Set(batch.map(({ placement }) => placement.partition)).size, 1);
        const bytes = batch.reduce(
          (sum, { placement }) => sum + Buffer.byteLength(JSON.stringify(placement.document)),
          0,
        );
        assert.ok(batch.length === 1 || bytes <= MAX_BATCH_BYTES);
      }
    }),
    { numRuns: 12 },
  );
});

test('the answer to a batch says whether all were written, one is at fault, or to wait', () => {
  const of = (...statuses: number[]) => batchVerdict(statuses.map((statusCode) => ({ statusCode })));
  assert.deepEqual(of(201, 201), { kind: 'written' });
  assert.deepEqual(of(424, 409, 424), { kind: 'singly' });
  assert.deepEqual(of(413, 424), { kind: 'singly' });
  assert.deepEqual(of(424, 503), { kind: 'later', status: 503, retryAfterMs: undefined });
  assert.deepEqual(batchVerdict([{ statusCode: 429, retryAfterMilliseconds: 70 }]), {
    kind: 'later',
    status: 429,
    retryAfterMs: 70,
  });
  // Nothing was said: nothing is taken for written.
  assert.deepEqual(of(), { kind: 'singly' });
});
