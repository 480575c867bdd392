import type { Container } from '@azure/cosmos';
import { safeIdentifier } from '../../contract/ids.ts';
import { RtvoiceError } from '../../platform/errors.ts';
import { parseEnvelope, type RecordCodec } from '../envelope.ts';
import type { ArchiveRecord, WriteOutcome } from '../outbox/ports.ts';
import { DOCUMENT_SCHEMA_VERSION } from './containers.ts';
import { statusOf } from './errors.ts';
import { mergeProfile, type ProfileDocument } from './profile_merge.ts';
import type { CosmosRequests } from './requests.ts';

/** Updates of one profile that meet each other are few; more than this and the record waits its turn. */
const MERGE_ATTEMPTS = 5;
/** HTTP "gone": what a codec throws when the key of a record was erased on purpose. */
const GONE = 410;
const BESIDE_BODY: ReadonlySet<string> = new Set(['id', 'envelope', 'schemaVersion', 'ttl']);

/** A profile as it is stored: its body as the codec wrote it, which may be sealed, and what Cosmos DB needs to find and guard it. */
type StoredProfile = Record<string, unknown> & { id: string; _etag?: string };

/** Profiles: updates are merged into them (read, lay over, write if nobody else has in between). */
export class ProfileStore {
  readonly #container: Container;
  readonly #requests: CosmosRequests;
  readonly #codec: RecordCodec;

  constructor(options: { container: Container; requests: CosmosRequests; codec: RecordCodec }) {
    this.#container = options.container;
    this.#requests = options.requests;
    this.#codec = options.codec;
  }

  /** Rejects with what the SDK or the codec throws; a sealed update without its keys is ERR_RECORD_SEALED. */
  async write(record: ArchiveRecord): Promise<WriteOutcome> {
    const update = await this.#opened({ kind: 'profile', id: `${record.callConnectionId}/${record.id}` }, record);
    if (!update) return { kind: 'refused', reason: 'its key was erased' };
    const { userId } = update;
    if (typeof userId !== 'string' || userId === '')
      return { kind: 'refused', reason: 'a profile update without userId' };
    const id = safeIdentifier(userId);
    let cause: unknown;
    for (let attempt = 0; attempt < MERGE_ATTEMPTS; attempt++) {
      const stored = await this.#read(id);
      const merged = mergeProfile(stored && (await this.#profile(stored)), id, { ...record, body: update });
      if (!merged) return { kind: 'repeated' };
      try {
        await this.#store(await this.#document(id, merged), stored?._etag);
        return { kind: 'written' };
      } catch (error) {
        // Someone else wrote in between: read again and merge into that.
        if (statusOf(error) !== 412 && statusOf(error) !== 409) throw error;
        cause = error;
      }
    }
    return { kind: 'later', throttled: false, retryAfterMs: undefined, cause };
  }

  /** The profile of a caller's pseudonym in clear; undefined when there is none, or when its caller was erased. */
  async read(userId: string): Promise<ProfileDocument | undefined> {
    const stored = await this.#read(safeIdentifier(userId));
    return stored && this.#profile(stored);
  }

  async #read(id: string): Promise<StoredProfile | undefined> {
    const reading = () => this.#container.item(id, id).read<StoredProfile>();
    return (await this.#requests.run('profiles', 'read', reading)).resource;
  }

  async #store(document: StoredProfile, etag: string | undefined): Promise<void> {
    const { id } = document;
    if (etag === undefined) {
      await this.#requests.run('profiles', 'create', () => this.#container.items.create(document));
      return;
    }
    const accessCondition = { type: 'IfMatch', condition: etag };
    const replacing = () => this.#container.item(id, id).replace(document, { accessCondition });
    await this.#requests.run('profiles', 'replace', replacing);
  }

  /** The stored profile in clear; undefined when its caller was erased, so that a new one begins. */
  async #profile(stored: StoredProfile): Promise<ProfileDocument | undefined> {
    const body = Object.fromEntries(
      Object.entries(stored).filter(([name]) => !BESIDE_BODY.has(name) && !name.startsWith('_')),
    );
    const header = stored.envelope as ArchiveRecord['header'];
    const opened = await this.#opened({ kind: 'profile', id: stored.id }, { header, body });
    return opened && ({ ...opened, id: stored.id } as ProfileDocument);
  }

  async #document(id: string, { id: _id, ...profile }: ProfileDocument): Promise<StoredProfile> {
    const ref = { kind: 'profile', id } as const;
    const { header, body } = parseEnvelope(ref, await this.#codec.seal(ref, profile));
    return { ...body, id, userId: id, schemaVersion: DOCUMENT_SCHEMA_VERSION, envelope: header };
  }

  async #opened(
    ref: { kind: 'profile'; id: string },
    { header, body }: Pick<ArchiveRecord, 'header' | 'body'>,
  ): Promise<Record<string, unknown> | undefined> {
    try {
      return await this.#codec.open(ref, JSON.stringify({ ...header, body }));
    } catch (error) {
      if (error instanceof RtvoiceError && error.status === GONE) return undefined;
      throw error;
    }
  }
}
