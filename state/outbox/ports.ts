import type { EnvelopeHeader } from '../envelope.ts';
import type { OutboxEntry } from '../ports.ts';

/** One outbox entry on its way to the archive, its body as it was stored (sealed fields stay sealed). */
export interface ArchiveRecord extends OutboxEntry {
  callConnectionId: string;
  header: EnvelopeHeader;
}

export type WriteOutcome =
  | { kind: 'written' }
  /** The same record is there already: an earlier write whose reply was lost. */
  | { kind: 'repeated' }
  /** Another record stands under this id (two owners after Redis lost data): this one was kept beside it. */
  | { kind: 'keptBeside' }
  /** The archive cannot take it now. `retryAfterMs` when it said how long to wait. */
  | { kind: 'later'; throttled: boolean; retryAfterMs: number | undefined; cause: unknown }
  /** The archive will never take it. `reason` holds no content of the record. */
  | { kind: 'refused'; reason: string };

export interface ArchivedTurn {
  id: string;
  seq: number;
  role: string;
  text: string;
  atMs: number;
  [member: string]: unknown;
}

export interface ArchivedCall {
  /** In the order of speaking. */
  turns: ArchivedTurn[];
  summary: Record<string, unknown> | undefined;
}

/** Where calls are kept for good. */
export interface CallArchive {
  /** Never throws: trouble is an outcome. */
  write(record: ArchiveRecord): Promise<WriteOutcome>;
  /**
   * Records of one call, in order; never throws. One outcome for each that was tried: nothing behind a `later` is. An archive
   * without it takes them one by one.
   */
  writeAll?(records: readonly ArchiveRecord[]): Promise<WriteOutcome[]>;
  readCall(callConnectionId: string): Promise<ArchivedCall>;
  /** Ids of every record of a call, for the accounting. */
  recordIds(callConnectionId: string): Promise<string[]>;
}
