/**
 * Effective partition keys: where a partition key lies in the hash space of a container, as hexadecimal text from '' to 'FF'.
 * The rule is the service's version 2 (MurmurHash3 x64 128 of the typed bytes, top two bits cleared); clients compute it too, to
 * send bulk operations and prefix queries to the right range, so both must agree byte for byte.
 */
export function effectivePartitionKey(values: readonly unknown[], hierarchical: boolean): string {
  if (hierarchical) return values.map((value) => hashed([value])).join('');
  return hashed(values);
}

export interface KeyRange {
  /** Inclusive. */
  readonly min: string;
  /** Exclusive. */
  readonly max: string;
}

/** The hash space in equal parts, one for each physical partition. */
export function keyRanges(count: number): KeyRange[] {
  // Two bits of the first byte are always clear.
  const edge = (at: number) => {
    if (at === 0) return '';
    if (at === count) return 'FF';
    return Math.floor((at * 0x40) / count)
      .toString(16)
      .toUpperCase()
      .padStart(2, '0');
  };
  return Array.from({ length: count }, (_, at) => ({ min: edge(at), max: edge(at + 1) }));
}

export function inRange(epk: string, { min, max }: KeyRange): boolean {
  return epk >= min && epk < max;
}

function hashed(values: readonly unknown[]): string {
  const digest = murmur128(Buffer.concat(values.map(typedBytes))).reverse();
  digest[0] = (digest[0] ?? 0) & 0x3f;
  return digest.toString('hex').toUpperCase();
}

function typedBytes(value: unknown): Buffer {
  switch (typeof value) {
    case 'string':
      return Buffer.concat([Buffer.of(0x08), Buffer.from(value, 'utf8'), Buffer.of(0xff)]);
    case 'number': {
      const bytes = Buffer.alloc(9);
      bytes[0] = 0x05;
      bytes.writeDoubleLE(value, 1);
      return bytes;
    }
    case 'boolean':
      return Buffer.of(value ? 0x03 : 0x02);
    default:
      return Buffer.of(value === null ? 0x01 : 0x00);
  }
}

const MASK = 0xffff_ffff_ffff_ffffn;
const C1 = 0x87c3_7b91_1142_53d5n;
const C2 = 0x4cf5_ad43_2745_937fn;

/** MurmurHash3_x64_128 with seed 0; sixteen bytes, little end first, low half first. */
function murmur128(data: Buffer): Buffer {
  let [h1, h2] = [0n, 0n];
  const whole = data.length - (data.length % 16);
  for (let at = 0; at < whole; at += 16) {
    h1 ^= mixed(data.readBigUInt64LE(at), C1, 31n, C2);
    h1 = (((rotl(h1, 27n) + h2) & MASK) * 5n + 0x52dc_e729n) & MASK;
    h2 ^= mixed(data.readBigUInt64LE(at + 8), C2, 33n, C1);
    h2 = (((rotl(h2, 31n) + h1) & MASK) * 5n + 0x3849_5ab5n) & MASK;
  }
  const tail = Buffer.alloc(16);
  data.copy(tail, 0, whole);
  h2 ^= mixed(tail.readBigUInt64LE(8), C2, 33n, C1);
  h1 ^= mixed(tail.readBigUInt64LE(0), C1, 31n, C2);
  h1 ^= BigInt(data.length);
  h2 ^= BigInt(data.length);
  h1 = (h1 + h2) & MASK;
  h2 = (h2 + h1) & MASK;
  h1 = finished(h1);
  h2 = finished(h2);
  h1 = (h1 + h2) & MASK;
  h2 = (h2 + h1) & MASK;
  const digest = Buffer.alloc(16);
  digest.writeBigUInt64LE(h1, 0);
  digest.writeBigUInt64LE(h2, 8);
  return digest;
}

const rotl = (value: bigint, bits: bigint): bigint => ((value << bits) | (value >> (64n - bits))) & MASK;

const mixed = (lane: bigint, first: bigint, bits: bigint, second: bigint): bigint =>
  (rotl((lane * first) & MASK, bits) * second) & MASK;

function finished(lane: bigint): bigint {
  let value = lane;
  value = ((value ^ (value >> 33n)) * 0xff51_afd7_ed55_8ccdn) & MASK;
  value = ((value ^ (value >> 33n)) * 0xc4ce_b9fe_1a85_ec53n) & MASK;
  return value ^ (value >> 33n);
}
