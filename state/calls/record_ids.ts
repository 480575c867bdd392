/** Document id of the end record. */
export const SUMMARY_ID = 'summary';

/** Document id of a turn: sorts as text in the order of speaking for the first million turns. */
export function turnId(seq: number): string {
  return `turn-${String(seq).padStart(6, '0')}`;
}
