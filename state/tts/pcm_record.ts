/**
 * Cached audio as bytes: magic `RTTS`, version (1 byte), three zero bytes, sample rate and sample count (32 bits little-endian each),
 * then 16-bit little-endian samples, one channel.
 */
const MAGIC = Buffer.from('RTTS', 'latin1');
const VERSION = 1;
const HEADER_BYTES = 16;

export function encodePcm(pcm: Int16Array, sampleRateHertz: number): Buffer {
  const record = Buffer.alloc(HEADER_BYTES + pcm.byteLength);
  MAGIC.copy(record);
  record.writeUInt8(VERSION, 4);
  record.writeUInt32LE(sampleRateHertz, 8);
  record.writeUInt32LE(pcm.length, 12);
  Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).copy(record, HEADER_BYTES);
  return record;
}

/** Undefined for anything that this release did not write, or for another sample rate: a miss, never noise in a caller's ear. */
export function decodePcm(record: Buffer, sampleRateHertz: number): Int16Array | undefined {
  if (record.length < HEADER_BYTES || !record.subarray(0, 4).equals(MAGIC) || record.readUInt8(4) !== VERSION)
    return undefined;
  if (record.readUInt32LE(8) !== sampleRateHertz) return undefined;
  const samples = record.readUInt32LE(12);
  if (record.length !== HEADER_BYTES + samples * 2) return undefined;
  const pcm = new Int16Array(samples);
  // Copied, since a view of a network buffer may start at an odd byte and keeps the whole buffer alive.
  record.copy(Buffer.from(pcm.buffer), 0, HEADER_BYTES);
  return pcm;
}
