import { badRequest, CosmosHttpError, conflict, notFound, preconditionFailed, tooLarge } from './http_error.ts';
import type { Change } from './journal.ts';
import { applyPatch, type PatchOperation } from './patch.ts';
import { matches } from './query.ts';
import { type Container, type CosmosStore, checkId, type Document } from './store.ts';

const MAX_DOCUMENT_BYTES = 2 * 1024 * 1024;
const MAX_BATCH_OPERATIONS = 100;

export interface Conditions {
  ifMatch?: string | undefined;
  ifNoneMatch?: string | undefined;
}

export interface DocumentResult {
  status: number;
  doc?: Document;
}

export interface BatchOperation {
  operationType: string;
  id?: string;
  ifMatch?: string;
  ifNoneMatch?: string;
  resourceBody?: unknown;
}

export interface BatchResult {
  statusCode: number;
  requestCharge: number;
  eTag?: string;
  resourceBody?: Document;
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
    return doc._etag === ifNoneMatch ? { status: 304 } : { status: 200, doc };
  }

  create(body: unknown): DocumentResult {
    const checked = this.#checked(body);
    if (this.#find(checked.id)) throw conflict('Entity with the specified id already exists in the system.');
    return { status: 201, doc: this.#put(checked) };
  }

  upsert(body: unknown, conditions: Conditions): DocumentResult {
    const checked = this.#checked(body);
    const found = this.#find(checked.id);
    if (found) checkMatch(found, conditions);
    return { status: found ? 200 : 201, doc: this.#put(checked) };
  }

  replace(id: string, body: unknown, conditions: Conditions): DocumentResult {
    const found = this.#existing(id);
    checkMatch(found, conditions);
    const checked = this.#checked(body);
    if (checked.id !== id) throw badRequest('The id of the body does not match the id of the resource.');
    return { status: 200, doc: this.#put(checked) };
  }

  patch(id: string, body: unknown, conditions: Conditions): DocumentResult {
    const found = this.#existing(id);
    checkMatch(found, conditions);
    const { condition, operations } = Array.isArray(body)
      ? { condition: undefined, operations: body }
      : patchBody(body);
    if (condition !== undefined && !matches(condition, found)) throw preconditionFailed();
    return { status: 200, doc: this.#put(this.#checked(applyPatch(found, operations as PatchOperation[]))) };
  }

  remove(id: string, conditions: Conditions): DocumentResult {
    checkMatch(this.#existing(id), conditions);
    this.#staged.set(id, undefined);
    return { status: 204 };
  }

  run(operation: BatchOperation): DocumentResult {
    const { operationType, id = '', resourceBody, ...conditions } = operation;
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
    return this.#staged.has(id) ? this.#staged.get(id) : this.#store.document(this.#container, this.#place.pk, id);
  }

  #existing(id: string): Document {
    const found = this.#find(id);
    if (!found) throw notFound('Entity with the specified id does not exist in the system.');
    return found;
  }

  #put(body: Record<string, unknown> & { id: string }): Document {
    const doc = this.#store.stamp(this.#container, body);
    this.#staged.set(doc.id, doc);
    return doc;
  }

  #checked(body: unknown): Record<string, unknown> & { id: string } {
    if (typeof body !== 'object' || body === null || Array.isArray(body))
      throw badRequest('The document body must be an object.');
    const { id } = body as Record<string, unknown>;
    checkId(id);
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

/** All or nothing: the first failure gives the others 424, as the service does. */
export function runBatch(
  transaction: Transaction,
  operations: readonly BatchOperation[],
): { status: number; results: BatchResult[] } {
  if (!Array.isArray(operations) || operations.length === 0) throw badRequest('A batch needs at least one operation.');
  if (operations.length > MAX_BATCH_OPERATIONS)
    throw badRequest('Batch request has more operations than what is supported.');
  const results: BatchResult[] = [];
  for (const [index, operation] of operations.entries()) {
    try {
      const { status, doc } = transaction.run(operation);
      results.push({ statusCode: status, requestCharge: 1, ...(doc ? { eTag: doc._etag, resourceBody: doc } : {}) });
    } catch (error) {
      if (!(error instanceof CosmosHttpError)) throw error;
      const failed = operations.map((_, at) => ({ statusCode: at === index ? error.status : 424, requestCharge: 1 }));
      return { status: 207, results: failed };
    }
  }
  transaction.commit();
  return { status: 200, results };
}

/** The partition key of a body, written as the header writes it. */
export function partitionKeyOf(container: Container, body: Record<string, unknown>): string {
  const values = container.definition.partitionKey.paths.map((path) =>
    path
      .split('/')
      .slice(1)
      .reduce<unknown>(
        (at, name) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined),
        body,
      ),
  );
  return JSON.stringify(values.map((value) => (value === undefined ? {} : value)));
}

function patchBody(body: unknown): { condition: string | undefined; operations: unknown } {
  const { condition, operations } = (body ?? {}) as { condition?: string; operations?: unknown };
  return { condition, operations };
}

function checkMatch(doc: Document, { ifMatch }: Conditions): void {
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== doc._etag) throw preconditionFailed();
}
