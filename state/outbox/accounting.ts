import { turnId } from '../calls/record_ids.ts';

/** One call's records as sets of ids. */
export interface Account {
  /** Turns the call's own record counts: all of them were accepted. */
  turns: number;
  archived: Iterable<string>;
  pending: Iterable<string>;
  quarantined: Iterable<string>;
}

/** Ids of accepted turns that are nowhere: accepted = archived + pending + quarantined + lost. */
export function lostTurns(account: Account): string[] {
  const found = new Set([...account.archived, ...account.pending, ...account.quarantined]);
  const lost: string[] = [];
  for (let seq = 1; seq <= account.turns; seq++) if (!found.has(turnId(seq))) lost.push(turnId(seq));
  return lost;
}
