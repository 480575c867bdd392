import { DNS_LABEL, IDENTIFIER } from '../../contract/ids.ts';
import type { Lease, RingRecord } from '../../contract/records.ts';
import { defineError } from '../../platform/errors.ts';

export const LEASE_RECORD_INVALID = defineError('ERR_LEASE_RECORD_INVALID', {
  status: 500,
  message: 'a lease record in Redis cannot be read',
  remedy: 'Something else writes the keys of this pool, or a newer version wrote them; compare the versions that run.',
});

export const LEASE_ARGUMENT_INVALID = defineError('ERR_LEASE_ARGUMENT_INVALID', {
  status: 400,
  message: 'an argument of the lease table is not valid',
  remedy: 'The named field must match what it is described as.',
});

/** How the scripts reply with a lease: call ref, record, expiry in Redis time. */
export type LeaseReply = readonly [callRef: string, record: string, expires: string];

const FIELDS = 8;

/** The record is what `write_lease` of the scripts joins: eight fields and the ring's JSON, separated by newlines. */
export function decodeLease([callRef, record, expires]: LeaseReply): Lease {
  const fields: string[] = [];
  let start = 0;
  while (fields.length < FIELDS) {
    const end = record.indexOf('\n', start);
    if (end < 0) throw LEASE_RECORD_INVALID.with(`call ref ${callRef}`);
    fields.push(record.slice(start, end));
    start = end + 1;
  }
  const [fence = '', worker = '', incarnation = '', state = '', connection = '', placed = '', , ringId = ''] = fields;
  return {
    callRef,
    ringId,
    worker,
    incarnation,
    fence: Number(fence),
    state: state === 'a' ? 'answered' : 'ringing',
    callConnectionId: connection === '' ? undefined : connection,
    ring: decodeRing(callRef, record.slice(start)),
    expiresAtMs: Number(expires),
    placedAtMs: Number(placed),
  };
}

function decodeRing(callRef: string, json: string): RingRecord {
  try {
    return JSON.parse(json) as RingRecord;
  } catch (cause) {
    throw LEASE_RECORD_INVALID.with(`ring of call ref ${callRef}`, cause);
  }
}

const CALL_REF = /^[a-z0-9]{8,40}$/;
const WORKER = DNS_LABEL;
const TOKEN = IDENTIFIER;
/** Also what an ACS id may look like: no space and no control character, which separate fields in the records. */
const VISIBLE = /^[\x21-\x7e]{1,256}$/;
const RING_JSON_MAX = 64 * 1024;

/** Bad text here would break the records that every worker of the pool reads, so it is refused before it reaches Redis. */
export const check = {
  callRef: (text: string) => matched('callRef', text, CALL_REF),
  worker: (text: string) => matched('worker', text, WORKER),
  incarnation: (text: string) => matched('incarnation', text, TOKEN),
  ringId: (text: string) => matched('ringId', text, TOKEN),
  connection: (text: string) => matched('callConnectionId', text, VISIBLE),
  endpoint: (text: string) => matched('endpoint', text, VISIBLE),
  fence: (value: number) => whole('fence', value),
  whole,
  ring(ring: RingRecord): string {
    const json = JSON.stringify(ring);
    if (json.length > RING_JSON_MAX)
      throw LEASE_ARGUMENT_INVALID.with(`ring is longer than ${RING_JSON_MAX} characters`);
    return json;
  },
};

function matched(field: string, text: string, pattern: RegExp): string {
  if (!pattern.test(text)) throw LEASE_ARGUMENT_INVALID.with(`${field} does not match ${pattern.source}`);
  return text;
}

function whole(field: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0)
    throw LEASE_ARGUMENT_INVALID.with(`${field} must be a whole number, not ${value}`);
  return value;
}
