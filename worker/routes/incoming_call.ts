import { ringId } from '../../contract/ids.ts';
import { RECORD_VERSION, type RingRecord } from '../../contract/records.ts';

/** What one element of an Event Grid delivery is. */
export type GridEvent =
  | { kind: 'ring'; topic: unknown; ring: RingRecord }
  /** The handshake of the Event Grid schema; the code is to be sent back. */
  | { kind: 'validation'; topic: unknown; code: string }
  /** An event that the subscription's filter should have kept away. */
  | { kind: 'ignored'; topic: unknown }
  /** `field` names what is wrong; `topic` is still judged. */
  | { kind: 'malformed'; topic: unknown; field: string };

const INCOMING_CALL = 'Microsoft.Communication.IncomingCall';
const VALIDATION = 'Microsoft.EventGrid.SubscriptionValidationEvent';
const MAX_CONTEXT_LENGTH = 64 * 1024;
const MAX_ID_LENGTH = 512;

/** Reads both schemas: Event Grid (`eventType`, `topic`) and CloudEvents 1.0 (`type`, `source`). */
export function parseGridEvent(value: unknown): GridEvent {
  if (!isObject(value)) return { kind: 'malformed', topic: undefined, field: 'event' };
  const topic = value.topic ?? value.source;
  const type = value.eventType ?? value.type;
  if (typeof type !== 'string') return { kind: 'malformed', topic, field: 'eventType' };
  if (type !== INCOMING_CALL && type !== VALIDATION) return { kind: 'ignored', topic };
  const { data } = value;
  if (!isObject(data)) return { kind: 'malformed', topic, field: 'data' };
  if (type === VALIDATION) {
    const code = boundedText(data.validationCode, MAX_ID_LENGTH);
    return code ? { kind: 'validation', topic, code } : { kind: 'malformed', topic, field: 'data.validationCode' };
  }
  const ring = ringOf(data);
  return typeof ring === 'string' ? { kind: 'malformed', topic, field: ring } : { kind: 'ring', topic, ring };
}

/** The ring, or the name of the field at fault. Only what an answer needs is required: nothing else may cost a call. */
function ringOf(data: Record<string, unknown>): RingRecord | string {
  const incomingCallContext = boundedText(data.incomingCallContext, MAX_CONTEXT_LENGTH);
  if (!incomingCallContext) return 'data.incomingCallContext';
  const correlationId = boundedText(data.correlationId, MAX_ID_LENGTH);
  if (!correlationId) return 'data.correlationId';
  return {
    v: RECORD_VERSION,
    ringId: ringId(correlationId, incomingCallContext),
    correlationId,
    incomingCallContext,
    from: rawId(data.from),
    to: rawId(data.to),
    serverCallId: boundedText(data.serverCallId, 4096) ?? '',
  };
}

/** A participant's raw id; an anonymous caller has none. */
function rawId(identifier: unknown): string {
  if (!isObject(identifier)) return '';
  const raw = boundedText(identifier.rawId, MAX_ID_LENGTH);
  if (raw) return raw;
  const phone = isObject(identifier.phoneNumber) ? boundedText(identifier.phoneNumber.value, 64) : undefined;
  if (phone) return `4:${phone}`;
  return (isObject(identifier.communicationUser) && boundedText(identifier.communicationUser.id, MAX_ID_LENGTH)) || '';
}

function boundedText(value: unknown, maxLength: number): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= maxLength ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
