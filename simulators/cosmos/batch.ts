import { charge, sizeOf } from './charge.ts';
import { type BatchOperation, Transaction } from './documents.ts';
import { inRange } from './epk.ts';
import { badRequest, CosmosHttpError, gone, tooLarge } from './http_error.ts';
import type { Container, CosmosStore, Document } from './store.ts';

const MAX_OPERATIONS = 100;
const MAX_BYTES = 2 * 1024 * 1024;

export interface OperationResult {
  statusCode: number;
  requestCharge: number;
  eTag?: string;
  resourceBody?: Document;
  subStatusCode?: number;
  retryAfterMilliseconds?: number;
}

/** What an operation meets before it is tried; throws to make it fail. */
export type BeforeOperation = (at: number) => void;

export interface BatchAnswer {
  status: number;
  results: OperationResult[];
  charge: number;
}

/** All or nothing: the first failure gives the others 424, as the service does. */
export function runBatch(
  transaction: Transaction,
  operations: readonly BatchOperation[],
  before: BeforeOperation,
): BatchAnswer {
  checkOperations(operations);
  const results: OperationResult[] = [];
  for (const [index, operation] of operations.entries()) {
    const result = attempt(() => transaction.run(operation), index, before);
    if (result.statusCode < 400) {
      results.push(result);
      continue;
    }
    const failed = operations.map((_, at) => (at === index ? result : { statusCode: 424, requestCharge: 0 }));
    return { status: 207, results: failed, charge: result.requestCharge };
  }
  transaction.commit();
  return { status: 200, results, charge: total(results) };
}

/** Each operation on its own, in one physical partition; those that fail do not touch the others. */
export function runBulk(
  store: CosmosStore,
  place: { db: string; coll: string; container: Container; rangeId: string },
  operations: readonly BatchOperation[],
  options: { continueOnError: boolean; before: BeforeOperation },
): BatchAnswer {
  checkOperations(operations);
  const range = place.container.ranges[Number(place.rangeId)];
  if (!range) throw gone();
  const results: OperationResult[] = [];
  let stopped = false;
  for (const [index, operation] of operations.entries()) {
    if (stopped) {
      results.push({ statusCode: 424, requestCharge: 0 });
      continue;
    }
    const result = attempt(
      () => {
        const pk = JSON.stringify(JSON.parse(String(operation.partitionKey)));
        // Whoever sent it here has hashed the key another way.
        if (!inRange(place.container.epkOf(pk), range)) throw gone();
        const transaction = new Transaction(store, { db: place.db, coll: place.coll, pk });
        const done = transaction.run(operation);
        transaction.commit();
        return done;
      },
      index,
      options.before,
    );
    results.push(result);
    stopped = result.statusCode >= 400 && !options.continueOnError;
  }
  const status = results.every(({ statusCode }) => statusCode < 400) ? 200 : 207;
  return { status, results, charge: total(results) };
}

function attempt(run: () => ReturnType<Transaction['run']>, at: number, before: BeforeOperation): OperationResult {
  try {
    before(at);
    const { status, doc, charge: requestCharge } = run();
    return { statusCode: status, requestCharge, ...(doc ? { eTag: doc._etag, resourceBody: doc } : {}) };
  } catch (error) {
    if (!(error instanceof CosmosHttpError)) throw error;
    const { 'x-ms-substatus': substatus, 'x-ms-retry-after-ms': retryAfterMs } = error.headers;
    return {
      statusCode: error.status,
      requestCharge: charge.refused,
      ...(substatus === undefined ? {} : { subStatusCode: Number(substatus) }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMilliseconds: Number(retryAfterMs) }),
    };
  }
}

function checkOperations(operations: readonly BatchOperation[]): void {
  if (!Array.isArray(operations) || operations.length === 0) throw badRequest('A batch needs at least one operation.');
  if (operations.length > MAX_OPERATIONS) throw badRequest('Batch request has more operations than what is supported.');
  if (sizeOf(operations) > MAX_BYTES) throw tooLarge('Request size is too large.');
}

function total(results: readonly OperationResult[]): number {
  return Math.round(results.reduce((sum, { requestCharge }) => sum + requestCharge, 0) * 100) / 100;
}
