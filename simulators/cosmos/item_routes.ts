import type { IncomingHttpHeaders } from 'node:http';
import { type BatchAnswer, runBatch, runBulk } from './batch.ts';
import { type BatchOperation, type Conditions, type DocumentResult, Transaction } from './documents.ts';
import { changeFeed, readFeed, runQuery } from './feeds.ts';
import { badRequest, notFound } from './http_error.ts';
import { operationOf } from './operation.ts';
import { requiredPartition } from './scope.ts';
import type { CosmosStore } from './store.ts';
import type { Request, Response } from './wire.ts';

/** `…/docs`: new documents, batches, queries and feeds. */
export function documents(store: CosmosStore, request: Request, db: string, coll: string): Response {
  const { headers, body } = request;
  const container = store.container(db, coll);
  const place = { db, coll };
  switch (operationOf(request.method, request.segments, headers)) {
    case 'readFeed':
      return readFeed(container, headers);
    case 'changeFeed':
      return changeFeed(container, headers);
    case 'query':
    case 'queryPlan':
      return runQuery(container, headers, body);
    case 'bulk': {
      const rangeId = String(headers['x-ms-documentdb-partitionkeyrangeid'] ?? '0');
      const continueOnError = isTrue(headers['x-ms-cosmos-batch-continue-on-error']);
      const options = { continueOnError, before: request.beforeOperation };
      return batchAnswer(runBulk(store, { ...place, container, rangeId }, body as BatchOperation[], options));
    }
    case 'batch': {
      const transaction = new Transaction(store, { ...place, pk: requiredPartition(container, headers) });
      return batchAnswer(runBatch(transaction, body as BatchOperation[], request.beforeOperation));
    }
    case 'upsert':
    case 'create': {
      const transaction = new Transaction(store, { ...place, pk: requiredPartition(container, headers) });
      const upsert = isTrue(headers['x-ms-documentdb-is-upsert']);
      const result = upsert ? transaction.upsert(body, conditions(headers)) : transaction.create(body);
      transaction.commit();
      return answer(result, headers);
    }
    default:
      throw notFound('Resource not found.');
  }
}

/** `…/docs/<id>`. */
export function document(
  store: CosmosStore,
  request: Request,
  { db, coll, id }: { db: string; coll: string; id: string },
): Response {
  const { method, headers, body } = request;
  const transaction = new Transaction(store, { db, coll, pk: requiredPartition(store.container(db, coll), headers) });
  const operations: Record<string, () => DocumentResult> = {
    GET: () => transaction.read(id, conditions(headers)),
    PUT: () => transaction.replace(id, body, conditions(headers)),
    PATCH: () => transaction.patch(id, body, conditions(headers)),
    DELETE: () => transaction.remove(id, conditions(headers)),
  };
  const operation = operations[method];
  if (!operation) throw notFound('Resource not found.');
  const result = operation();
  transaction.commit();
  return answer(result, headers);
}

function answer({ status, doc, charge }: DocumentResult, headers: IncomingHttpHeaders): Response {
  const minimal = String(headers.prefer ?? '').includes('return=minimal');
  return { status, charge, ...(doc && !minimal ? { body: doc } : {}), headers: doc ? { etag: doc._etag } : {} };
}

function batchAnswer({ status, results, charge }: BatchAnswer): Response {
  return { status, body: results, charge };
}

function conditions(headers: IncomingHttpHeaders): Conditions {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch !== undefined && ifNoneMatch !== undefined)
    throw badRequest('If-Match and If-None-Match exclude each other.');
  return { ifMatch, ifNoneMatch };
}

function isTrue(header: string | string[] | undefined): boolean {
  return String(header).toLowerCase() === 'true';
}
