import type { Container } from '@azure/cosmos';
import { safeIdentifier } from '../../contract/ids.ts';
import { contentHash } from '../calls/content.ts';
import type { ArchivedCall, ArchivedTurn, ArchiveRecord, CallArchive, WriteOutcome } from '../outbox/ports.ts';
import type { CosmosDatabase } from './client.ts';
import { COSMOS_UNAVAILABLE, outcomeOf, statusOf } from './errors.ts';
import { mergeProfile, type ProfileDocument } from './profile_merge.ts';

/** Updates of one profile that meet each other are few; more than this and the record waits its turn. */
const MERGE_ATTEMPTS = 5;
const THROTTLE_COUNT = 'x-ms-throttle-retry-count';

/** The service refuses these characters; the SDK does so without a status, which would look like trouble that passes. */
const DOCUMENT_ID = /^[^/\\?#]{1,230}$/;

type Answer = { headers: Record<string, unknown> };

export interface CosmosArchiveOptions {
  database: CosmosDatabase;
  /** Requests that were answered 429 and then repeated by the SDK. */
  onThrottled?: (count: number) => void;
}

/** {@link CallArchive} on Cosmos DB; makes its containers before the first write. Turns and end records have fixed ids, so that every write may be repeated. */
export class CosmosArchive implements CallArchive {
  readonly #transcripts: Container;
  readonly #profiles: Container;
  readonly #onThrottled: (count: number) => void;
  readonly #database: CosmosDatabase;
  /** The containers are known to be there; asked again after a failure. */
  #ready: Promise<void> | undefined;

  constructor(options: CosmosArchiveOptions) {
    this.#database = options.database;
    this.#transcripts = options.database.container('transcripts');
    this.#profiles = options.database.container('profiles');
    this.#onThrottled = options.onThrottled ?? (() => undefined);
  }

  async write(record: ArchiveRecord): Promise<WriteOutcome> {
    if (!DOCUMENT_ID.test(record.id)) return { kind: 'refused', reason: 'the id cannot be a document id' };
    try {
      await this.#ensured();
      return record.kind === 'profile' ? await this.#mergeProfile(record) : await this.#writeTranscript(record);
    } catch (error) {
      // The container may have been dropped: look again before the next write.
      if (statusOf(error) === 404) this.#ready = undefined;
      return outcomeOf(error);
    }
  }

  async readCall(callConnectionId: string): Promise<ArchivedCall> {
    const documents = await this.#query<Record<string, unknown>>(
      'SELECT * FROM c WHERE c.callConnectionId = @call ORDER BY c.id',
      callConnectionId,
    );
    const turns = documents.filter((doc) => doc.kind === 'turn').map((doc) => withoutSystem(doc) as ArchivedTurn);
    const summary = documents.find((doc) => doc.kind === 'summary');
    return { turns, summary: summary && withoutSystem(summary) };
  }

  async recordIds(callConnectionId: string): Promise<string[]> {
    const documents = await this.#query<{ id: string }>(
      'SELECT c.id FROM c WHERE c.callConnectionId = @call',
      callConnectionId,
    );
    return documents.map(({ id }) => id);
  }

  #ensured(): Promise<void> {
    this.#ready ??= this.#database.ensure().catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #writeTranscript(record: ArchiveRecord): Promise<WriteOutcome> {
    if (await this.#create(record, record.id)) return { kind: 'written' };
    const { resource } = this.#counted(
      await this.#transcripts.item(record.id, record.callConnectionId).read<Record<string, unknown>>(),
    );
    if (resource && contentHash(contentOf(resource)) === contentHash(contentOf(documentOf(record, record.id))))
      return { kind: 'repeated' };
    const beside = await this.#create(record, `${record.id}~${contentHash(record.body)}`);
    return { kind: beside ? 'keptBeside' : 'repeated' };
  }

  /** False when the id is taken. */
  async #create(record: ArchiveRecord, id: string): Promise<boolean> {
    try {
      this.#counted(await this.#transcripts.items.create(documentOf(record, id)));
      return true;
    } catch (error) {
      if (statusOf(error) === 409) return false;
      throw error;
    }
  }

  async #mergeProfile(record: ArchiveRecord): Promise<WriteOutcome> {
    const { userId } = record.body;
    if (typeof userId !== 'string' || userId === '')
      return { kind: 'refused', reason: 'a profile update without userId' };
    const id = safeIdentifier(userId);
    let cause: unknown;
    for (let attempt = 0; attempt < MERGE_ATTEMPTS; attempt++) {
      const { resource } = this.#counted(await this.#profiles.item(id, id).read<ProfileDocument>());
      const merged = mergeProfile(resource, id, record);
      if (!merged) return { kind: 'repeated' };
      try {
        if (resource?._etag) {
          const accessCondition = { type: 'IfMatch', condition: resource._etag };
          this.#counted(await this.#profiles.item(id, id).replace(merged, { accessCondition }));
        } else this.#counted(await this.#profiles.items.create(merged));
        return { kind: 'written' };
      } catch (error) {
        // Someone else wrote in between: read again and merge into that.
        if (statusOf(error) !== 412 && statusOf(error) !== 409) throw error;
        cause = error;
      }
    }
    return { kind: 'later', throttled: false, retryAfterMs: undefined, cause };
  }

  async #query<T>(query: string, callConnectionId: string): Promise<T[]> {
    const spec = { query, parameters: [{ name: '@call', value: callConnectionId }] };
    try {
      return (await this.#transcripts.items.query<T>(spec, { partitionKey: callConnectionId }).fetchAll()).resources;
    } catch (error) {
      throw COSMOS_UNAVAILABLE.with(undefined, error);
    }
  }

  #counted<T extends Answer>(answer: T): T {
    const retries = Number(answer.headers[THROTTLE_COUNT] ?? 0);
    if (retries > 0) this.#onThrottled(retries);
    return answer;
  }
}

/** Fields of the record at the top, so that people and analytics read them without a detour. */
function documentOf(record: ArchiveRecord, id: string): Record<string, unknown> {
  return { ...record.body, id, callConnectionId: record.callConnectionId, kind: record.kind, envelope: record.header };
}

function withoutSystem(document: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(document).filter(([name]) => !name.startsWith('_')));
}

function contentOf(document: Record<string, unknown>): Record<string, unknown> {
  const { id: _id, envelope: _envelope, ...content } = withoutSystem(document);
  return content;
}
