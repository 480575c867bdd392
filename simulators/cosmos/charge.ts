/**
 * Request units as Microsoft documents them (learn.microsoft.com/azure/cosmos-db/request-units and /optimize-cost-reads-writes): a
 * point read costs 1 at 1 KB and 10 at 100 KB, a write 5 at 1 KB and 50 at 100 KB, between and beyond them in proportion. A replace
 * is a delete and an insert. What is indexed changes the real figures, but nothing documents by how much, so it does not change these.
 */
export const charge = {
  read: (sizeBytes: number) => scaled(1, 10, sizeBytes),
  create: (sizeBytes: number) => scaled(5, 50, sizeBytes),
  replace: (sizeBytes: number) => 2 * scaled(5, 50, sizeBytes),
  remove: (sizeBytes: number) => scaled(5, 50, sizeBytes),
  /** A seek, and what it returns. */
  query: (resultBytes: number) => rounded(2.3 + resultBytes / 10_240),
  /** Nothing was found, or a condition did not hold. */
  refused: 1,
  none: 0,
} as const;

export function sizeOf(value: unknown): number {
  return value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
}

function scaled(at1Kb: number, at100Kb: number, sizeBytes: number): number {
  const kilobytes = sizeBytes / 1024;
  return rounded(Math.max(at1Kb, at1Kb + ((kilobytes - 1) * (at100Kb - at1Kb)) / 99));
}

/** The service answers two digits. */
function rounded(units: number): number {
  return Math.round(units * 100) / 100;
}
