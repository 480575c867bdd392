import { createHash } from 'node:crypto';
import type { ServiceBusMessage, ServiceBusReceivedMessage } from '@azure/service-bus';
import { errorCode } from '../../platform/errors.ts';
import { contentHash } from '../calls/content.ts';
import { parseEnvelope, RECORD_VERSION_UNKNOWN } from '../envelope.ts';
import type { ArchiveRecord } from '../outbox/ports.ts';
import { ARCHIVE_KINDS, type ArchiveKind } from '../ports.ts';

export const RECORD_CONTENT_TYPE = 'application/vnd.rtvoice.record+json';

/** The service takes 128 characters; a replay adds up to 24. */
const MESSAGE_ID_MAX = 104;

export type ParsedMessage =
  | { kind: 'record'; record: ArchiveRecord }
  /** Written by a newer release: one of its workers must take it. */
  | { kind: 'held' }
  /** No release will read it. `reason` holds no content. */
  | { kind: 'unreadable'; reason: string };

/**
 * The record as a message of its call's session. The envelope travels as it was stored: what is sealed stays sealed.
 *
 * The message id is the same for each send of the same content, so that duplicate detection drops a repeated send. The content is
 * part of it because two owners can write different records under one id (after Redis lost data), and both must reach the archive.
 */
export function messageOf(record: ArchiveRecord): ServiceBusMessage {
  const { callConnectionId, id, kind, header, body } = record;
  return {
    body: Buffer.from(JSON.stringify({ ...header, body })),
    contentType: RECORD_CONTENT_TYPE,
    sessionId: callConnectionId,
    messageId: messageIdOf(record),
    subject: kind,
    applicationProperties: { kind, recordId: id, schemaVersion: header.v },
  };
}

export function messageIdOf({ callConnectionId, id, header, body }: ArchiveRecord): string {
  const name = `${callConnectionId}/${id}/${contentHash({ ...header, body })}`;
  return name.length <= MESSAGE_ID_MAX ? name : `h-${createHash('sha256').update(name).digest('hex')}`;
}

/** Expects a message whose body was not parsed (`skipParsingBodyAsJson`). */
export function parseMessage(
  message: Pick<ServiceBusReceivedMessage, 'body' | 'sessionId' | 'applicationProperties'>,
): ParsedMessage {
  const { kind, recordId } = message.applicationProperties ?? {};
  if (!isArchiveKind(kind)) return { kind: 'unreadable', reason: 'the message names no kind of record' };
  if (typeof recordId !== 'string' || recordId === '')
    return { kind: 'unreadable', reason: 'the message names no record' };
  const callConnectionId = message.sessionId;
  if (!callConnectionId) return { kind: 'unreadable', reason: 'the message has no session' };
  if (!Buffer.isBuffer(message.body)) return { kind: 'unreadable', reason: 'the body is not bytes' };
  try {
    const { header, body } = parseEnvelope(
      { kind, id: `${callConnectionId}/${recordId}` },
      message.body.toString('utf8'),
    );
    return { kind: 'record', record: { callConnectionId, id: recordId, kind, header, body } };
  } catch (error) {
    const code = errorCode(error);
    return code === RECORD_VERSION_UNKNOWN.code ? { kind: 'held' } : { kind: 'unreadable', reason: code };
  }
}

function isArchiveKind(kind: unknown): kind is ArchiveKind {
  return ARCHIVE_KINDS.some((each) => each === kind);
}
