import { RtvoiceError } from '../../platform/errors.ts';
import { RECORD_UNREADABLE, type RecordCodec } from '../envelope.ts';
import { ARCHIVE_KINDS, type ArchiveKind, type HistoryEntry, type OutboxEntry, type SessionRecord } from '../ports.ts';
import { entryOf, turnRef } from './turn_record.ts';

/** One entry of a stream as Redis answers it: id, then field and value in turn. */
export type StreamItem = [id: string, fields: string[]];

export function streamField(item: StreamItem, name: string): string | undefined {
  const at = item[1].indexOf(name);
  // Fields stand at even places: a value that equals a field's name is not that field.
  return at % 2 === 0 ? item[1][at + 1] : undefined;
}

/** Checks what this code relies on and keeps every other field, so that a newer release finds its own again. */
export function sessionFrom(id: string, body: Record<string, unknown>): SessionRecord {
  const { callRef, callConnectionId, nextSeq, recentEventIds } = body;
  if (typeof callRef !== 'string' || typeof callConnectionId !== 'string')
    throw RECORD_UNREADABLE.with(`session ${id}: ids`);
  if (typeof nextSeq !== 'number' || !Number.isSafeInteger(nextSeq) || nextSeq < 1) {
    throw RECORD_UNREADABLE.with(`session ${id}: nextSeq`);
  }
  if (!Array.isArray(recentEventIds)) throw RECORD_UNREADABLE.with(`session ${id}: recentEventIds`);
  return body as unknown as SessionRecord;
}

export async function historyFrom(
  codec: RecordCodec,
  id: string,
  items: readonly StreamItem[],
): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  for (const item of items) {
    const seq = Number(item[0].split('-')[0]);
    const ref = turnRef(id, seq);
    const body = entryOf(await codec.open(ref, streamField(item, 'e') ?? ''));
    if (body.seq !== seq || typeof body.text !== 'string' || typeof body.role !== 'string')
      throw RECORD_UNREADABLE.with(`history ${ref.id}`);
    entries.push(body as unknown as HistoryEntry);
  }
  return entries;
}

export async function outboxFrom(codec: RecordCodec, id: string, items: readonly StreamItem[]): Promise<OutboxEntry[]> {
  const entries: OutboxEntry[] = [];
  for (const item of items) {
    const { entryId, kind, record } = outboxFields(id, item);
    entries.push({ id: entryId, kind, body: await codec.open({ kind, id: `${id}/${entryId}` }, record) });
  }
  return entries;
}

/** As {@link outboxFrom}, for a quarantine: what cannot be read may be just why it stands there, and keeps nobody from the rest. */
export async function readableFrom(
  codec: RecordCodec,
  id: string,
  items: readonly StreamItem[],
): Promise<OutboxEntry[]> {
  const entries: OutboxEntry[] = [];
  for (const item of items) {
    try {
      entries.push(...(await outboxFrom(codec, id, [item])));
    } catch (error) {
      if (!(error instanceof RtvoiceError)) throw error;
    }
  }
  return entries;
}

export function outboxFields(id: string, item: StreamItem): { entryId: string; kind: ArchiveKind; record: string } {
  const entryId = streamField(item, 'id');
  const kind = streamField(item, 'kind');
  const record = streamField(item, 'e');
  if (entryId === undefined || record === undefined || !ARCHIVE_KINDS.some((each) => each === kind)) {
    throw RECORD_UNREADABLE.with(`outbox ${id}/${item[0]}`);
  }
  return { entryId, kind: kind as ArchiveKind, record };
}
