import type { SqlQuerySpec } from '@azure/cosmos';
import type { Clock } from '../../platform/clock.ts';
import { errorCode, RtvoiceError } from '../../platform/errors.ts';
import { SUMMARY_ID, turnId } from '../calls/record_ids.ts';
import { plainCodec, type RecordCodec } from '../envelope.ts';
import type { ArchiveKind } from '../ports.ts';
import type { CosmosDatabase } from './client.ts';
import { recordOf } from './documents.ts';
import { COSMOS_UNAVAILABLE, statusOf } from './errors.ts';
import { type CosmosObserver, CosmosRequests } from './requests.ts';

/** One record of a call as the archive has it, opened. */
export interface ReadRecord {
  readonly callConnectionId: string;
  /** As it was written; two records with one id stood under different owners. */
  readonly id: string;
  readonly documentId: string;
  readonly kind: ArchiveKind;
  /** Undefined when it cannot be opened: `unreadable` says why, with an error code. */
  readonly body: Record<string, unknown> | undefined;
  readonly unreadable: string | undefined;
}

export interface CosmosReaderOptions {
  database: CosmosDatabase;
  codec?: Pick<RecordCodec, 'open'>;
  observer?: CosmosObserver;
  clock?: Clock;
  /** Documents of one request; no more than a few pages are in memory at any time. */
  pageSize?: number;
}

const FIRST_TURN = turnId(1);

/** Reads calls back from the archive, page by page. Rejects with ERR_COSMOS_UNAVAILABLE. */
export class CosmosReader {
  readonly #database: CosmosDatabase;
  readonly #codec: Pick<RecordCodec, 'open'>;
  readonly #requests: CosmosRequests;
  readonly #pageSize: number;

  constructor(options: CosmosReaderOptions) {
    this.#database = options.database;
    this.#codec = options.codec ?? plainCodec;
    this.#requests = new CosmosRequests({ observer: options.observer, clock: options.clock });
    this.#pageSize = options.pageSize ?? 200;
  }

  /** The end record first (`summary` sorts before `turn-…`), then the turns in the order of speaking. Nothing for an unknown call. */
  async *call(callConnectionId: string): AsyncGenerator<ReadRecord> {
    const query = 'SELECT * FROM c WHERE c.callConnectionId = @call ORDER BY c.id';
    const spec = { query, parameters: [{ name: '@call', value: callConnectionId }] };
    for await (const document of this.#pages<Record<string, unknown>>(spec, callConnectionId))
      yield await this.#opened(document);
  }

  /**
   * Calls that began in `[fromMs, toMs)`: those that have ended by their end records, then the others by their first turn. A call
   * without both (its first turn in quarantine, its end not yet archived) is not found.
   */
  async *calls({ fromMs, toMs }: { fromMs: number; toMs: number }): AsyncGenerator<string> {
    const parameters = [
      { name: '@from', value: fromMs },
      { name: '@to', value: toMs },
    ];
    const ended = `SELECT c.id, c.callConnectionId FROM c WHERE c.id = "${SUMMARY_ID}" AND c.startedAtMs >= @from AND c.startedAtMs < @to`;
    for await (const { callConnectionId } of this.#pages<{ callConnectionId: string }>({ query: ended, parameters }))
      yield callConnectionId;
    const begun = `SELECT c.id, c.callConnectionId FROM c WHERE c.id = "${FIRST_TURN}" AND c.atMs >= @from AND c.atMs < @to`;
    for await (const { callConnectionId } of this.#pages<{ callConnectionId: string }>({ query: begun, parameters }))
      if (!(await this.#hasEnded(callConnectionId))) yield callConnectionId;
  }

  async #hasEnded(callConnectionId: string): Promise<boolean> {
    const item = this.#database.container('transcripts').item(SUMMARY_ID, callConnectionId);
    try {
      return (await this.#requests.run('transcripts', 'read', () => item.read())).resource !== undefined;
    } catch (error) {
      throw COSMOS_UNAVAILABLE.with(detailOf(error), error);
    }
  }

  async *#pages<T>(spec: SqlQuerySpec, partitionKey?: string): AsyncGenerator<T> {
    const options = { maxItemCount: this.#pageSize, ...(partitionKey === undefined ? {} : { partitionKey }) };
    const pages = this.#database.container('transcripts').items.query<T>(spec, options);
    while (pages.hasMoreResults()) {
      let resources: T[];
      try {
        ({ resources } = await this.#requests.page('transcripts', pages));
      } catch (error) {
        throw COSMOS_UNAVAILABLE.with(detailOf(error), error);
      }
      yield* resources;
    }
  }

  async #opened(document: Record<string, unknown>): Promise<ReadRecord> {
    const { id, callConnectionId, kind, header, body } = recordOf(document);
    const named = { callConnectionId, id, documentId: String(document.id), kind };
    try {
      const text = JSON.stringify({ ...header, body });
      const opened = await this.#codec.open({ kind, id: `${callConnectionId}/${id}` }, text);
      return { ...named, body: opened, unreadable: undefined };
    } catch (error) {
      // Erased, sealed for other keys, or of a newer release: the others of the call can be read all the same.
      if (!(error instanceof RtvoiceError)) throw error;
      return { ...named, body: undefined, unreadable: error.code };
    }
  }
}

/** What of an SDK error may be shown: a status or a code, never its text, which can quote a document. */
function detailOf(error: unknown): string {
  const status = statusOf(error);
  return status === undefined ? errorCode(error) : `status ${status}`;
}
