import { crc32 } from 'node:zlib';

/** One record that Redis could not take, sealed as it would stand in the outbox. */
export interface SpoolRecord {
  callConnectionId: string;
  callRef: string;
  entryId: string;
  kind: string;
  /** What the outbox tells repeated entries by. */
  dedupeId: string;
  /** The envelope as text. */
  text: string;
}

export type Frame =
  | { put: SpoolRecord }
  /** Redis has these entries of a call: they need not be brought again. */
  | { done: { callConnectionId: string; entryIds: readonly string[] } };

const HEADER_BYTES = 8;
/** A length beyond this is not one that was written here. */
const MAX_FRAME_BYTES = 4 * 1024 * 1024;

/** Length and CRC-32 of the payload, four bytes each, big endian; then the payload as JSON. */
export function encodeFrame(frame: Frame): Buffer {
  const payload = Buffer.from(JSON.stringify(frame));
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(payload.length, 0);
  header.writeUInt32BE(crc32(payload), 4);
  return Buffer.concat([header, payload]);
}

/**
 * Every whole frame from the start. A process that is killed in the middle of a write leaves part of a frame: `torn` is the number
 * of bytes behind the last whole one. What follows a torn frame was never acknowledged, since writes are synced in order.
 */
export function decodeFrames(bytes: Buffer): { frames: Frame[]; torn: number } {
  const frames: Frame[] = [];
  let at = 0;
  while (bytes.length - at >= HEADER_BYTES) {
    const length = bytes.readUInt32BE(at);
    const end = at + HEADER_BYTES + length;
    if (length > MAX_FRAME_BYTES || end > bytes.length) break;
    const payload = bytes.subarray(at + HEADER_BYTES, end);
    if (crc32(payload) !== bytes.readUInt32BE(at + 4)) break;
    frames.push(JSON.parse(payload.toString('utf8')) as Frame);
    at = end;
  }
  return { frames, torn: bytes.length - at };
}

/** What is still to be brought, in the order of writing. */
export function openRecords(frames: readonly Frame[]): SpoolRecord[] {
  const open = new Map<string, SpoolRecord>();
  for (const frame of frames) {
    if ('put' in frame) open.set(recordId(frame.put), frame.put);
    else for (const id of frame.done.entryIds) open.delete(recordId({ ...frame.done, entryId: id }));
  }
  return [...open.values()];
}

export function recordId({ callConnectionId, entryId }: Pick<SpoolRecord, 'callConnectionId' | 'entryId'>): string {
  return `${callConnectionId}\n${entryId}`;
}
