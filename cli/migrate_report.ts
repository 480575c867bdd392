import { BULK_STATES, type BulkRow, type BulkState } from '../state/legacy/bulk.ts';
import { table } from './table.ts';

/** Rows that are kept to be shown; of those beyond it only the counts are told. */
const MAX_ROWS = 10_000;

const HEAD = ['CONVERSATION', 'STATE', 'GENERATION', 'ENTRIES', 'BYTES', 'KEYS'];

/** Something is left to do by hand. */
export function isWanting({ state, faults }: BulkRow): boolean {
  return state === 'unreadable' || state === 'diverged' || faults.length > 0;
}

/** What a run of `rtvoice migrate` found, with a bound on how much of it is kept. Names keys and reasons, never content. */
export class MigrationReport {
  readonly rows: BulkRow[] = [];
  readonly #counts = new Map<BulkState, number>();
  #leftOut = 0;
  #isWanting = false;

  add(row: BulkRow): void {
    this.#isWanting ||= isWanting(row);
    this.#counts.set(row.state, (this.#counts.get(row.state) ?? 0) + 1);
    if (this.rows.length < MAX_ROWS) this.rows.push(row);
    else this.#leftOut += 1;
  }

  get total(): number {
    return this.rows.length + this.#leftOut;
  }

  /** Of any row, also one that is not kept. */
  get isWanting(): boolean {
    return this.#isWanting;
  }

  toJSON(): object {
    return { counts: Object.fromEntries(this.#counts), leftOut: this.#leftOut, conversations: this.rows };
  }

  text(): string {
    if (this.rows.length === 0) return 'no conversation stands under the older flat keys\n';
    const rows = this.rows.map(({ id, state, generation, entries, bytes, keys }) => [
      id,
      state,
      generation ?? '-',
      `${entries}`,
      `${bytes}`,
      `${keys.length}`,
    ]);
    const more = this.#leftOut > 0 ? `and ${this.#leftOut} more\n` : '';
    const faults = this.rows.flatMap((row) => row.faults);
    const wanting = faults.map(({ key, code, reason }) => `${key}: ${reason} (${code})\n`).join('');
    return `${table(HEAD, rows)}${more}\n${this.#summary()}${wanting === '' ? '' : `\n${wanting}`}`;
  }

  #summary(): string {
    return [...this.#counts].map(([state, count]) => `${count} ${state}: ${BULK_STATES[state]}\n`).join('');
  }
}
