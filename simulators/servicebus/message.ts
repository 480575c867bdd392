import { randomUUID } from 'node:crypto';
import rhea from 'rhea';

/** A message as rhea decodes it; sections that are not there are undefined. */
export interface AmqpMessage {
  body?: unknown;
  message_id?: unknown;
  group_id?: string;
  correlation_id?: unknown;
  reply_to?: string;
  delivery_count?: number;
  message_annotations?: Record<string, unknown>;
  application_properties?: Record<string, unknown>;
  [section: string]: unknown;
}

/** Transfers with this format carry a batch: each data section is one encoded message. */
const BATCH_FORMAT = 0x80013700;

export const encode = (message: AmqpMessage): Buffer => rhea.message.encode(message);
export const decode = (bytes: Buffer): AmqpMessage => rhea.message.decode(bytes) as unknown as AmqpMessage;

/** The messages of one transfer with the bytes it took. */
export function unpack(content: unknown, format: number): { messages: AmqpMessage[]; bytes: number } {
  if (format !== BATCH_FORMAT || !Buffer.isBuffer(content)) {
    const message = content as AmqpMessage;
    return { messages: [message], bytes: encode(message).length };
  }
  const section = decode(content).body as { content: Buffer | Buffer[] };
  return { messages: [section.content].flat().map((bytes) => decode(bytes)), bytes: content.length };
}

export const newLockToken = (): string => randomUUID();

/** A lock token travels as delivery tag in the byte order of a .NET Guid: the first three groups are little-endian. */
export function tagOf(token: string): Buffer {
  const bytes = Buffer.from(token.replaceAll('-', ''), 'hex');
  return Buffer.concat([
    bytes.subarray(0, 4).reverse(),
    bytes.subarray(4, 6).reverse(),
    bytes.subarray(6, 8).reverse(),
    bytes.subarray(8),
  ]);
}

export function tokenOfTag(tag: Buffer | string): string {
  const bytes = Buffer.from(tagOf(Buffer.from(tag as Buffer).toString('hex')));
  return uuidText(bytes);
}

/** Of a uuid in network order, as it stands in $management requests. */
export function uuidText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export const uuid = (text: string): unknown => rhea.types.wrap_uuid(Buffer.from(text.replaceAll('-', ''), 'hex'));

/** Unix milliseconds at which a scheduled message is due; 0 when it is at once. */
export function dueAt({ message_annotations: notes }: AmqpMessage): number {
  const due = notes?.['x-opt-scheduled-enqueue-time'];
  return due === undefined || due === null ? 0 : Number(due);
}

const EPOCH_TICKS = 621_355_968_000_000_000n;

/** Unix milliseconds as .NET ticks, the form of `com.microsoft:locked-until-utc`. */
export function ticks(unixMs: number): unknown {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(EPOCH_TICKS + BigInt(Math.round(unixMs)) * 10_000n);
  return rhea.types.wrap_long(bytes);
}

export const timestamp = (unixMs: number): unknown => rhea.types.wrap_timestamp(unixMs);
export const long = (value: number): unknown => rhea.types.wrap_long(value);
