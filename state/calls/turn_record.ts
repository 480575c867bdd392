import type { RecordRef } from '../envelope.ts';
import type { HistoryEntry } from '../ports.ts';
import { turnId } from './record_ids.ts';

/** A turn is one record wherever it stands, in the history as in the outbox and the archive: it is serialised and sealed once. */
export function turnRef(callConnectionId: string, seq: number): RecordRef {
  return { kind: 'turn', id: `${callConnectionId}/${turnId(seq)}` };
}

export function turnBody(entry: HistoryEntry, callRef: string): Record<string, unknown> {
  return { ...entry, callRef };
}

/** The entry in a turn's body; what later releases have put there stays. */
export function entryOf({ callRef: _callRef, ...entry }: Record<string, unknown>): Record<string, unknown> {
  return entry;
}
