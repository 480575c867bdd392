import { charge, sizeOf } from './charge.ts';
import { badRequest, CosmosHttpError, conflict, notFound, preconditionFailed, tooLarge } from './http_error.ts';
import type { Change } from './journal.ts';
import { applyPatch, type PatchOperation } from './patch.ts';
import { matches } from './query/run.ts';
import { checkId, isTtl } from './rules.ts';
import type { Container, CosmosStore, Document } from './store.ts';

const MAX_DOCUMENT_BYTES = 2 * 1024 * 1024;

export interface Conditions {
  ifMatch?: string | undefined;
  ifNoneMatch?: string | undefined;
}

export interface DocumentResult {
  status: number;
  doc?: Document;
  charge: number;
}

export interface BatchOperation {
  operationType: string;
  id?: string;
  /** Of a bulk operation: the header's text. */
  partitionKey?: string;
  ifMatch?: string;
  ifNoneMatch?: string;
  resourceBody?: unknown;
}

/** Operations on one partition, staged: nothing is stored before `commit`. */
export class Transaction {
  readonly #store: CosmosStore;
  readonly #place: { db: string; coll: string; pk: string };
  readonly #container: Container;
  readonly #staged = new Map<string, Document | undefined>();

  constructor(store: CosmosStore, place: { db: string; coll: string; pk: string }) {
    this.#store = store;
    this.#place = place;
    this.#container = store.container(place.db, place.coll);
  }

  commit(): void {
    const changes: Change[] = [];
    for (const [id, doc] of this.#staged) {
      if (doc) changes.push({ op: 'put', ...this.#place, doc });
      else changes.push({ op: 'remove', ...this.#place, id });
    }
    this.#store.commit(changes);
  }

  read(id: string, { ifNoneMatch }: Conditions): DocumentResult {
    const doc = this.#existing(id);
    const units = charge.read(sizeOf(doc));
    return doc._etag === ifNoneMatch ? { status: 304, charge: units } : { status: 200, doc, charge: units };
  }

  create(body: unknown): DocumentResult {
    const checked = this.#checked(body);
    if (this.#find(checked.id)) throw conflict('Entity with the specified id already exists in the system.');
    return this.#stored(201, checked, charge.create);
  }

  upsert(body: unknown, conditions: Conditions): DocumentResult {
    const checked = this.#checked(body);
    const found = this.#find(checked.id);
    if (found) checkMatch(found, conditions);
    return found ? this.#stored(200, checked, charge.replace) : this.#stored(201, checked, charge.create);
  }

  replace(id: string, body: unknown, conditions: Conditions): DocumentResult {
    const found = this.#existing(id);
    checkMatch(found, conditions);
    const checked = this.#checked(body);
    if (checked.id !== id) throw badRequest('The id of the body does not match the id of the resource.');
    return this.#stored(200, checked, charge.replace);
  }

  patch(id: string, body: unknown, conditions: Conditions): DocumentResult {
    const found = this.#existing(id);
    checkMatch(found, conditions);
    const { condition, operations } = Array.isArray(body)
      ? { condition: undefined, operations: body }
      : patchBody(body);
    if (condition !== undefined && !matches(condition, found)) throw preconditionFailed();
    const patched = this.#checked(applyPatch(found, operations as PatchOperation[]));
    return this.#stored(200, patched, charge.replace);
  }

  remove(id: string, conditions: Conditions): DocumentResult {
    const found = this.#existing(id);
    checkMatch(found, conditions);
    this.#staged.set(id, undefined);
    return { status: 204, charge: charge.remove(sizeOf(found)) };
  }

  run(operation: BatchOperation): DocumentResult {
    const { operationType, id = '', resourceBody, partitionKey: _partitionKey, ...conditions } = operation;
    switch (operationType) {
      case 'Create':
        return this.create(resourceBody);
      case 'Upsert':
        return this.upsert(resourceBody, conditions);
      case 'Read':
        return this.read(id, conditions);
      case 'Replace':
        return this.replace(id, resourceBody, conditions);
      case 'Patch':
        return this.patch(id, resourceBody, conditions);
      case 'Delete':
        return this.remove(id, conditions);
      default:
        throw badRequest(`Batch operation ${operationType} is not supported.`);
    }
  }

  #find(id: string): Document | undefined {
    return this.#staged.has(id) ? this.#staged.get(id) : this.#container.document(this.#place.pk, id);
  }

  #existing(id: string): Document {
    const found = this.#find(id);
    if (!found) throw notFound('Entity with the specified id does not exist in the system.');
    return found;
  }

  #stored(
    status: number,
    body: Record<string, unknown> & { id: string },
    cost: (sizeBytes: number) => number,
  ): DocumentResult {
    this.#checkUnique(body);
    const doc = this.#store.stamp(this.#container, body);
    this.#staged.set(doc.id, doc);
    return { status, doc, charge: cost(sizeOf(doc)) };
  }

  /** Unique keys hold within a partition; what is missing counts as a value, as the service has it. */
  #checkUnique(body: Record<string, unknown> & { id: string }): void {
    const uniqueKeys = this.#container.definition.uniqueKeyPolicy?.uniqueKeys ?? [];
    if (uniqueKeys.length === 0) return;
    const others = new Map<string, Document>();
    for (const { doc } of this.#container.rows({ pk: this.#place.pk }, 0)) others.set(doc.id, doc);
    for (const [id, doc] of this.#staged)
      if (doc) others.set(id, doc);
      else others.delete(id);
    others.delete(body.id);
    for (const { paths } of uniqueKeys) {
      const values = (doc: Record<string, unknown>) => JSON.stringify(paths.map((path) => valueAt(doc, path) ?? null));
      if ([...others.values()].some((doc) => values(doc) === values(body)))
        throw conflict('Unique index constraint violation.');
    }
  }

  #checked(body: unknown): Record<string, unknown> & { id: string } {
    if (typeof body !== 'object' || body === null || Array.isArray(body))
      throw badRequest('The document body must be an object.');
    const { id } = body as Record<string, unknown>;
    checkId(id);
    const { ttl } = body as Record<string, unknown>;
    if (ttl !== undefined && ttl !== null && !isTtl(ttl))
      throw badRequest('The ttl must be -1 or a positive whole number.');
    if (Buffer.byteLength(JSON.stringify(body)) > MAX_DOCUMENT_BYTES) throw tooLarge('Request size is too large.');
    if (partitionKeyOf(this.#container, body as Record<string, unknown>) !== this.#place.pk) {
      throw new CosmosHttpError(
        400,
        'BadRequest',
        "PartitionKey extracted from document doesn't match the one specified in the header.",
        { 'x-ms-substatus': '1001' },
      );
    }
    return { ...body, id };
  }
}

/** The partition key of a body, written as the header writes it. */
export function partitionKeyOf(container: Container, body: Record<string, unknown>): string {
  const values = container.definition.partitionKey.paths.map((path) => valueAt(body, path));
  return JSON.stringify(values.map((value) => (value === undefined ? {} : value)));
}

/** `/a/b` in a document. */
function valueAt(body: Record<string, unknown>, path: string): unknown {
  return path
    .split('/')
    .slice(1)
    .reduce<unknown>(
      (at, name) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined),
      body,
    );
}

function patchBody(body: unknown): { condition: string | undefined; operations: unknown } {
  const { condition, operations } = (body ?? {}) as { condition?: string; operations?: unknown };
  return { condition, operations };
}

function checkMatch(doc: Document, { ifMatch }: Conditions): void {
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== doc._etag) throw preconditionFailed();
}
