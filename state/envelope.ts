import { defineError } from '../platform/errors.ts';
import type { RecordKind } from '../security/sealing/policy.ts';
import { asSealedText, type SealedText } from '../security/sealing/sealed_text.ts';

/**
 * The breaking version of stored records that this code writes. Additions do not raise it: readers keep fields they do not know
 * and write them back. A breaking change takes two releases: the first reads both, the second writes the new one.
 */
export const ENVELOPE_VERSION = 1;
const OLDEST_READABLE = 1;

export const RECORD_UNREADABLE = defineError('ERR_RECORD_UNREADABLE', {
  status: 500,
  message: 'a stored record cannot be read',
  remedy:
    'The record was not written by rtvoice or was cut. Look at the named key with `rtvoice inspect`; nothing is overwritten.',
});
export const RECORD_VERSION_UNKNOWN = defineError('ERR_RECORD_VERSION_UNKNOWN', {
  status: 503,
  message: 'a stored record has a version this release cannot read',
  remedy:
    'Let a worker of the newer release take the call, or roll back only as far as the release that reads both versions.',
});
export const RECORD_SEALED = defineError('ERR_RECORD_SEALED', {
  status: 503,
  message: 'a stored record is sealed and no keys are configured',
  remedy: 'Start this process with the key settings of the fleet that wrote the record.',
});

/** What stands beside the body: which version, and how the body is protected. Members of later releases travel along. */
export interface EnvelopeHeader {
  readonly v: number;
  /** `none`: fields stand in clear. */
  readonly alg: string;
  readonly [member: string]: unknown;
}

/** The header that this code writes while nothing is sealed. */
export const PLAIN_HEADER: EnvelopeHeader = { v: ENVELOPE_VERSION, alg: 'none' };

export interface Envelope {
  readonly header: EnvelopeHeader;
  readonly body: Record<string, unknown>;
}

/** Names a record for sealing (associated data) and for errors; never a storage key, since records travel between stores. */
export interface RecordRef {
  readonly kind: RecordKind;
  readonly id: string;
}

/** Turns a record's body into stored text and back. Both may have to wait for a key; sealing does not once the call's key is there. */
export interface RecordCodec {
  seal(ref: RecordRef, body: object): SealedText | Promise<SealedText>;
  open(ref: RecordRef, text: string): Promise<Record<string, unknown>>;
  /**
   * The same for the same record with the same content, and tells nothing of the content to who has no key. Undefined for a record
   * in clear, of which a bare hash tells no more than it does itself.
   */
  tag?(text: SealedText): string | undefined;
}

/** Where the deployment has turned sealing off. */
export const plainCodec: RecordCodec = {
  seal: (_ref, body) => encodeRecord(body),
  open: async (ref, text) => decodeRecord(ref, text),
};

export function encodeRecord(body: object): SealedText {
  return asSealedText(JSON.stringify({ ...PLAIN_HEADER, body }));
}

export function decodeRecord(ref: RecordRef, text: string): Record<string, unknown> {
  const { header, body } = parseEnvelope(ref, text);
  if (header.alg !== 'none') throw RECORD_SEALED.with(`${ref.kind} ${ref.id}, alg ${header.alg}`);
  return body;
}

/** Splits stored text without opening it: for what carries records on as they are. */
export function parseEnvelope(ref: RecordRef, text: string): Envelope {
  const name = `${ref.kind} ${ref.id}`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The parser's message quotes the text, which may be a transcript: only its name is told.
    throw RECORD_UNREADABLE.with(`${name}: ${error instanceof Error ? error.name : 'not JSON'}`);
  }
  if (!isObject(value)) throw RECORD_UNREADABLE.with(`${name}: not an object`);
  const { body, ...header } = value;
  if (typeof header.v !== 'number' || !Number.isInteger(header.v)) throw RECORD_UNREADABLE.with(`${name}: no version`);
  if (header.v > ENVELOPE_VERSION || header.v < OLDEST_READABLE) {
    throw RECORD_VERSION_UNKNOWN.with(
      `${name}: version ${header.v}, readable ${OLDEST_READABLE} to ${ENVELOPE_VERSION}`,
    );
  }
  if (typeof header.alg !== 'string') throw RECORD_UNREADABLE.with(`${name}: no alg`);
  if (!isObject(body)) throw RECORD_UNREADABLE.with(`${name}: body is not an object`);
  return { header: { ...header, v: header.v, alg: header.alg }, body };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
