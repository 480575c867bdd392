import type { Container } from '@azure/cosmos';
import type { Clock } from '../../platform/clock.ts';
import { RtvoiceError } from '../../platform/errors.ts';
import { plainCodec, type RecordCodec } from '../envelope.ts';
import type { ArchivedCall, ArchivedTurn, ArchiveRecord, CallArchive, WriteOutcome } from '../outbox/ports.ts';
import { batchesOf, batchVerdict } from './batches.ts';
import type { CosmosDatabase } from './client.ts';
import type { ContainerName } from './containers.ts';
import { besideOf, type Placement, placementOf, sameContent, withoutSystem } from './documents.ts';
import { COSMOS_UNAVAILABLE, outcomeOf, statusOf } from './errors.ts';
import type { ProfileDocument } from './profile_merge.ts';
import { ProfileStore } from './profile_store.ts';
import { type CosmosObserver, CosmosRequests } from './requests.ts';

export interface CosmosArchiveOptions {
  database: CosmosDatabase;
  /** Requests that were answered 429 and then repeated. */
  onThrottled?: (count: number) => void;
  /** Told of every request's cost. */
  observer?: CosmosObserver;
  /** Opens and seals profiles, which are merged; everything else is kept as it comes. Default: in clear. */
  codec?: RecordCodec;
  clock?: Clock;
  /** For one request; default 20 s. */
  requestDeadlineMs?: number;
}

interface Placed {
  record: ArchiveRecord;
  placement: Placement;
}

/** {@link CallArchive} on Cosmos DB; makes its containers before the first write to each. All ids are fixed, so that every write may be repeated. */
export class CosmosArchive implements CallArchive {
  readonly #database: CosmosDatabase;
  readonly #requests: CosmosRequests;
  readonly #profiles: ProfileStore;
  /** Containers that are known to be there; asked again after a failure. */
  readonly #ready = new Map<ContainerName, Promise<void>>();

  constructor(options: CosmosArchiveOptions) {
    const { database, codec = plainCodec, clock, observer, onThrottled, requestDeadlineMs: deadlineMs } = options;
    this.#database = database;
    this.#requests = new CosmosRequests({ clock, observer, onThrottled, deadlineMs });
    this.#profiles = new ProfileStore({ container: database.writing('profiles'), requests: this.#requests, codec });
  }

  async write(record: ArchiveRecord): Promise<WriteOutcome> {
    if (record.kind === 'profile') return this.#tried('profiles', () => this.#profiles.write(record));
    const placement = placementOf(record);
    if ('refused' in placement) return { kind: 'refused', reason: placement.refused };
    return this.#tried(placement.container, () => this.#writeOne({ record, placement }));
  }

  async writeAll(records: readonly ArchiveRecord[]): Promise<WriteOutcome[]> {
    const outcomes: WriteOutcome[] = [];
    for (const run of runsOf(records)) {
      outcomes.push(...(Array.isArray(run) ? await this.#writeRun(run) : [await this.write(run)]));
      if (outcomes.at(-1)?.kind === 'later') break;
    }
    return outcomes;
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

  /** Undefined for a caller who never called, or who was erased. Rejects with ERR_COSMOS_UNAVAILABLE, or with what the codec throws. */
  async readProfile(userId: string): Promise<ProfileDocument | undefined> {
    try {
      return await this.#profiles.read(userId);
    } catch (error) {
      throw error instanceof RtvoiceError ? error : COSMOS_UNAVAILABLE.with(undefined, error);
    }
  }

  async recordIds(callConnectionId: string): Promise<string[]> {
    const documents = await this.#query<{ id: string }>(
      'SELECT c.id FROM c WHERE c.callConnectionId = @call',
      callConnectionId,
    );
    return documents.map(({ id }) => id);
  }

  async #tried(container: ContainerName, write: () => Promise<WriteOutcome>): Promise<WriteOutcome> {
    try {
      await this.#ensured(container);
      return await write();
    } catch (error) {
      // The container may have been dropped: look again before the next write.
      if (statusOf(error) === 404) this.#ready.delete(container);
      return outcomeOf(error);
    }
  }

  #ensured(container: ContainerName): Promise<void> {
    const known = this.#ready.get(container);
    if (known) return known;
    const asked = this.#database.ensure([container]).catch((error) => {
      this.#ready.delete(container);
      throw error;
    });
    this.#ready.set(container, asked);
    return asked;
  }

  /** Neighbours of one partition go as one batch: all of them are written, or none is and each is tried on its own. */
  async #writeRun(run: readonly Placed[]): Promise<WriteOutcome[]> {
    const outcomes: WriteOutcome[] = [];
    for (const batch of batchesOf(run)) {
      const whole = batch.length > 1 ? await this.#writeBatch(batch) : undefined;
      if (whole) outcomes.push(...whole);
      else outcomes.push(...(await this.#writeSingly(batch)));
      if (outcomes.at(-1)?.kind === 'later') break;
    }
    return outcomes;
  }

  async #writeSingly(batch: readonly Placed[]): Promise<WriteOutcome[]> {
    const outcomes: WriteOutcome[] = [];
    for (const item of batch) {
      const outcome = await this.#tried(item.placement.container, () => this.#writeOne(item));
      outcomes.push(outcome);
      if (outcome.kind === 'later') break;
    }
    return outcomes;
  }

  /** Undefined when one of the batch is at fault; none is written then. */
  async #writeBatch(batch: readonly Placed[]): Promise<WriteOutcome[] | undefined> {
    const [first] = batch;
    if (!first) return [];
    const { container, partition } = first.placement;
    const operations = batch.map(({ placement }) => ({
      operationType: 'Create' as const,
      resourceBody: placement.document as never,
    }));
    let singly = false;
    const outcome = await this.#tried(container, async () => {
      const sending = () => this.#container(container).items.batch(operations, partition);
      const { result = [] } = await this.#requests.run(container, 'batch', sending).catch((error: unknown) => {
        if (!isAboutContent(error)) throw error;
        return { result: [] };
      });
      const verdict = batchVerdict(result);
      if (verdict.kind === 'later') throw Object.assign(new Error('the batch was not taken'), verdictFields(verdict));
      singly = verdict.kind === 'singly';
      return { kind: 'written' };
    });
    if (singly) return undefined;
    return outcome.kind === 'written' ? batch.map(() => outcome) : [outcome];
  }

  async #writeOne({ record, placement }: Placed): Promise<WriteOutcome> {
    if (await this.#create(placement)) return { kind: 'written' };
    const { container, partition, document } = placement;
    const reading = () => this.#container(container).item(document.id, partition).read<Record<string, unknown>>();
    const { resource } = await this.#requests.run(container, 'read', reading);
    if (resource && sameContent(resource, record)) return { kind: 'repeated' };
    return { kind: (await this.#create(besideOf(placement, record))) ? 'keptBeside' : 'repeated' };
  }

  /** False when the id is taken. */
  async #create({ container, document }: Placement): Promise<boolean> {
    try {
      await this.#requests.run(container, 'create', () => this.#container(container).items.create(document));
      return true;
    } catch (error) {
      if (statusOf(error) === 409) return false;
      throw error;
    }
  }

  async #query<T>(query: string, callConnectionId: string): Promise<T[]> {
    const spec = { query, parameters: [{ name: '@call', value: callConnectionId }] };
    const found: T[] = [];
    try {
      const pages = this.#database.container('transcripts').items.query<T>(spec, { partitionKey: callConnectionId });
      while (pages.hasMoreResults()) {
        found.push(...(await this.#requests.page('transcripts', pages)).resources);
      }
      return found;
    } catch (error) {
      throw COSMOS_UNAVAILABLE.with(undefined, error);
    }
  }

  #container(name: ContainerName): Container {
    return this.#database.writing(name);
  }
}

/** Records with a place, gathered with their neighbours; the others (profiles, and what is refused) between them. */
function runsOf(records: readonly ArchiveRecord[]): (Placed[] | ArchiveRecord)[] {
  const runs: (Placed[] | ArchiveRecord)[] = [];
  for (const record of records) {
    const placement = placementOf(record);
    const run = runs.at(-1);
    if ('refused' in placement) runs.push(record);
    else if (Array.isArray(run)) run.push({ record, placement });
    else runs.push([{ record, placement }]);
  }
  return runs;
}

/** The batch as a whole was refused for what is in it, such as its size. */
function isAboutContent(error: unknown): boolean {
  const status = statusOf(error);
  return status === 400 || status === 409 || status === 413;
}

function verdictFields({ status, retryAfterMs }: { status: number; retryAfterMs: number | undefined }) {
  return { code: status, retryAfterInMs: retryAfterMs };
}
