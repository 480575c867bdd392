import type { Placement } from './documents.ts';

/** Limits of a transactional batch; the bytes leave room for what the protocol adds to 2 MB. */
export const MAX_BATCH_OPERATIONS = 100;
export const MAX_BATCH_BYTES = 1_800_000;

/**
 * Splits placements into runs that one transactional batch may carry: neighbours of the same partition, within the limits. The
 * order stays. A document that is too large for any batch stands alone.
 */
export function batchesOf<T extends { placement: Placement }>(items: readonly T[]): T[][] {
  const batches: T[][] = [];
  let key = '';
  let sizeBytes = 0;
  for (const item of items) {
    const { container, partition, document } = item.placement;
    const itemKey = JSON.stringify([container, partition]);
    const itemBytes = Buffer.byteLength(JSON.stringify(document));
    const batch = batches.at(-1);
    const fits = batch !== undefined && batch.length < MAX_BATCH_OPERATIONS && sizeBytes + itemBytes <= MAX_BATCH_BYTES;
    if (batch && fits && itemKey === key) {
      batch.push(item);
      sizeBytes += itemBytes;
    } else {
      batches.push([item]);
      key = itemKey;
      sizeBytes = itemBytes;
    }
  }
  return batches;
}

export type BatchVerdict =
  | { kind: 'written' }
  /** One operation is at fault: each on its own tells which. */
  | { kind: 'singly' }
  | { kind: 'later'; status: number; retryAfterMs: number | undefined };

const OF_ONE_OPERATION: ReadonlySet<number> = new Set([400, 404, 409, 412, 413]);

/** What the answer to an atomic batch means: all were written, or none was. */
export function batchVerdict(
  results: readonly { statusCode: number; retryAfterMilliseconds?: number }[],
): BatchVerdict {
  // 424 is the echo of another operation's failure.
  const failed = results.find(({ statusCode }) => statusCode >= 300 && statusCode !== 424);
  if (!failed && results.length > 0) return { kind: 'written' };
  if (!failed || OF_ONE_OPERATION.has(failed.statusCode)) return { kind: 'singly' };
  return { kind: 'later', status: failed.statusCode, retryAfterMs: failed.retryAfterMilliseconds };
}
