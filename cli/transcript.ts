import { SUMMARY_ID } from '../state/calls/record_ids.ts';
import { type CallState, callState } from '../state/cosmos/call_state.ts';
import type { ReadRecord } from '../state/cosmos/reader.ts';

/** One turn as people and programs get it. */
export interface TranscriptTurn {
  readonly seq: number;
  readonly role: string;
  readonly text: string;
  /** ISO 8601, by the clock of the worker that had the call. */
  readonly at: string;
  /** Another record stood under this turn's id; both are told. */
  readonly beside: boolean;
  /** Why there is no text: an error code. */
  readonly unreadable?: string;
}

/** Counts what passes, so that the state of a call is known at its end without keeping the turns. */
export class TranscriptTally {
  #turns = 0;
  #lastTurnId = '';
  #ended = false;
  #counted: number | undefined;

  add({ kind, id, body }: ReadRecord): void {
    if (kind === 'summary' && id === SUMMARY_ID) {
      this.#ended = true;
      if (typeof body?.turns === 'number') this.#counted ??= body.turns;
    }
    // Sorted by id: two records of one turn are neighbours.
    if (kind !== 'turn' || id === this.#lastTurnId) return;
    this.#lastTurnId = id;
    this.#turns += 1;
  }

  get state(): CallState {
    return callState({ turns: this.#turns, ended: this.#ended, counted: this.#counted });
  }
}

export function turnOf({ id, documentId, body, unreadable }: ReadRecord): TranscriptTurn {
  const { seq, role, text, atMs } = body ?? {};
  return {
    seq: typeof seq === 'number' ? seq : Number(id.split('-')[1]),
    role: typeof role === 'string' ? role : '?',
    text: typeof text === 'string' ? text : '',
    at: isoTime(atMs),
    beside: id !== documentId,
    ...(unreadable === undefined ? {} : { unreadable }),
  };
}

export function isoTime(unixMs: unknown): string {
  return typeof unixMs === 'number' && Math.abs(unixMs) <= 8.64e15 ? new Date(unixMs).toISOString() : '-';
}
