import type { Container } from '@azure/cosmos';
import { callerIdOf, parseWrappedKey, type WrappedCallerKey } from '../../security/sealing/wrapped_key.ts';
import { COSMOS_UNAVAILABLE, statusOf } from '../cosmos/errors.ts';
import type { CallerKeyStore, RewrapStore, StoredKeys } from './caller_key_store.ts';

/** No key id has this name: they hold a dot. */
const ERASURE_ID = 'erasure';
/** Longer than a record may be on its way (the outbox's longest life), so that no key of before can come after it. */
const ERASURE_TTL_SECONDS = 60 * 86_400;

/** Key, caller and tenant key under their full names, since indexes and people read those. */
function documentOf({ kid, tk, ...key }: WrappedCallerKey): Record<string, unknown> & { id: string } {
  return { ...key, id: kid, callerId: callerIdOf(kid), tenantKeyId: tk };
}

function keyOf({ id, tenantKeyId, ...key }: Record<string, unknown>): WrappedCallerKey | undefined {
  return parseWrappedKey({ ...key, kid: id, tk: tenantKeyId });
}

/** {@link CallerKeyStore} on Cosmos DB: container `keys`, partition key `/callerId`, one item for each key. */
export class CosmosCallerKeys implements CallerKeyStore, RewrapStore {
  readonly name = 'cosmos';
  readonly #items: Container;

  constructor(container: Container) {
    this.#items = container;
  }

  async read(callerId: string): Promise<StoredKeys> {
    const query = {
      query: 'SELECT * FROM c WHERE c.callerId = @caller',
      parameters: [{ name: '@caller', value: callerId }],
    };
    const documents = await guarded(
      async () =>
        (await this.#items.items.query<Record<string, unknown>>(query, { partitionKey: callerId }).fetchAll())
          .resources,
    );
    const mark = documents.find(({ id }) => id === ERASURE_ID)?.erasure;
    return {
      keys: documents.flatMap((document) => keyOf(document) ?? []),
      erasure: typeof mark === 'string' ? mark : undefined,
    };
  }

  /** Writes first and looks for an erasure then: either this sees its mark, or the erasure sees the key. */
  async put(key: WrappedCallerKey): Promise<'stored' | 'erased'> {
    const callerId = callerIdOf(key.kid);
    await guarded(async () => {
      try {
        await this.#items.items.create(documentOf(key));
      } catch (error) {
        if (statusOf(error) !== 409) throw error;
      }
    });
    const mark = await this.#erasure(callerId);
    if (mark === undefined || mark === key.since) return 'stored';
    await this.#remove(callerId, key.kid);
    return 'erased';
  }

  async erase(callerId: string, erasure: string): Promise<number> {
    await guarded(() => this.#items.items.upsert({ id: ERASURE_ID, callerId, erasure, ttl: ERASURE_TTL_SECONDS }));
    const { keys } = await this.read(callerId);
    for (const { kid } of keys) await this.#remove(callerId, kid);
    return keys.length;
  }

  async *outdated(newest: string): AsyncIterable<WrappedCallerKey> {
    const query = {
      query: 'SELECT * FROM c WHERE IS_DEFINED(c.tenantKeyId) AND c.tenantKeyId != @newest',
      parameters: [{ name: '@newest', value: newest }],
    };
    yield* this.#pages(query);
  }

  async replace(from: WrappedCallerKey, to: WrappedCallerKey): Promise<boolean> {
    const callerId = callerIdOf(from.kid);
    const item = this.#items.item(from.kid, callerId);
    return guarded(async () => {
      const { resource } = await item.read<{ w: string; _etag: string }>();
      if (!resource || resource.w !== from.w) return false;
      const accessCondition = { type: 'IfMatch', condition: resource._etag };
      try {
        await item.replace(documentOf(to), { accessCondition });
        return true;
      } catch (error) {
        // Erased, or wrapped anew by somebody else in between.
        if (statusOf(error) === 412 || statusOf(error) === 404) return false;
        throw error;
      }
    });
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    const query = { query: 'SELECT * FROM c WHERE IS_DEFINED(c.tenantKeyId)' };
    for await (const { tk } of this.#pages(query)) counts.set(tk, (counts.get(tk) ?? 0) + 1);
    return counts;
  }

  async *#pages(query: {
    query: string;
    parameters?: { name: string; value: string }[];
  }): AsyncIterable<WrappedCallerKey> {
    const pages = this.#items.items.query<Record<string, unknown>>(query, { maxItemCount: 100 });
    while (pages.hasMoreResults()) {
      const { resources } = await guarded(() => pages.fetchNext());
      for (const document of resources ?? []) {
        const key = keyOf(document);
        if (key) yield key;
      }
    }
  }

  async #erasure(callerId: string): Promise<string | undefined> {
    const { resource } = await guarded(() => this.#items.item(ERASURE_ID, callerId).read<{ erasure?: string }>());
    return resource?.erasure;
  }

  async #remove(callerId: string, kid: string): Promise<void> {
    await guarded(async () => {
      try {
        await this.#items.item(kid, callerId).delete();
      } catch (error) {
        if (statusOf(error) !== 404) throw error;
      }
    });
  }
}

async function guarded<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const status = statusOf(error);
    throw COSMOS_UNAVAILABLE.with(status === undefined ? 'keys' : `keys, status ${status}`, error);
  }
}
