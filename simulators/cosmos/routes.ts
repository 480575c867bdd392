import type { IncomingHttpHeaders } from 'node:http';
import type { Caller } from './auth.ts';
import { type BatchOperation, type Conditions, type DocumentResult, runBatch, Transaction } from './documents.ts';
import { badRequest, forbidden, notFound } from './http_error.ts';
import { type QuerySpec, runQuery } from './query.ts';
import type { Container, ContainerDefinition, CosmosStore } from './store.ts';

export interface Request {
  method: string;
  /** Decoded path: `dbs`, a database, `colls`, a container, `docs`, a document. */
  segments: string[];
  headers: IncomingHttpHeaders;
  body: unknown;
  caller: Caller;
  /** Where the client reaches the account. */
  endpoint: string;
}

export interface Response {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

const DEFAULT_PAGE = 100;

export function route(store: CosmosStore, request: Request): Response {
  const { segments } = request;
  if (segments.length === 0) return { status: 200, body: account(request.endpoint) };
  const [dbs, db, colls, coll, leaf, id] = segments;
  if (dbs !== 'dbs' || (colls !== undefined && colls !== 'colls') || segments.length > 6)
    throw notFound('Resource not found.');
  if (db === undefined) return databases(store, request);
  if (colls === undefined) return database(store, request, db);
  if (coll === undefined) return containers(store, request, db);
  if (leaf === undefined) return container(store, request, db, coll);
  if (leaf === 'pkranges' && id === undefined) return partitionKeyRanges(store, db, coll);
  if (leaf !== 'docs') throw notFound('Resource not found.');
  return id === undefined ? documents(store, request, db, coll) : document(store, request, { db, coll, id });
}

function account(endpoint: string): unknown {
  const locations = [{ name: 'Local', databaseAccountEndpoint: endpoint }];
  return {
    _self: '',
    id: 'local',
    _rid: 'local',
    media: '//media/',
    addresses: '//addresses/',
    _dbs: '//dbs/',
    writableLocations: locations,
    readableLocations: locations,
    enableMultipleWriteLocations: false,
    userReplicationPolicy: { asyncReplication: false, minReplicaSetSize: 3, maxReplicasetSize: 4 },
    userConsistencyPolicy: { defaultConsistencyLevel: 'Session' },
    systemReplicationPolicy: { minReplicaSetSize: 3, maxReplicasetSize: 4 },
    readPolicy: { primaryReadCoefficient: 1, secondaryReadCoefficient: 1 },
    queryEngineConfiguration: '{}',
  };
}

function databases(store: CosmosStore, { method, body, caller }: Request): Response {
  if (method === 'GET')
    return {
      status: 200,
      body: {
        _rid: '',
        Databases: store.databaseIds().map((id) => describeDatabase(store, id)),
        _count: store.databaseIds().length,
      },
    };
  if (method !== 'POST') throw notFound('Resource not found.');
  onlyMasterKey(caller);
  const { id } = objectBody(body);
  store.createDatabase(String(id ?? ''));
  return { status: 201, body: describeDatabase(store, String(id)) };
}

function database(store: CosmosStore, { method, caller }: Request, db: string): Response {
  store.database(db);
  if (method === 'GET') return { status: 200, body: describeDatabase(store, db) };
  if (method !== 'DELETE') throw notFound('Resource not found.');
  onlyMasterKey(caller);
  store.commit([{ op: 'dropDatabase', db }]);
  return { status: 204 };
}

function containers(store: CosmosStore, { method, body, caller }: Request, db: string): Response {
  const all = store.database(db).containers;
  if (method === 'GET')
    return {
      status: 200,
      body: { _rid: '', DocumentCollections: [...all.values()].map(describeContainer), _count: all.size },
    };
  if (method !== 'POST') throw notFound('Resource not found.');
  onlyMasterKey(caller);
  const definition = objectBody(body) as unknown as ContainerDefinition;
  store.createContainer(db, definition);
  return { status: 201, body: describeContainer(store.container(db, definition.id)) };
}

function container(store: CosmosStore, { method, body, caller }: Request, db: string, coll: string): Response {
  const found = store.container(db, coll);
  if (method === 'GET') return { status: 200, body: describeContainer(found) };
  onlyMasterKey(caller);
  if (method === 'DELETE') {
    store.commit([{ op: 'dropContainer', db, coll }]);
    return { status: 204 };
  }
  if (method !== 'PUT') throw notFound('Resource not found.');
  const definition = objectBody(body) as unknown as ContainerDefinition;
  if (JSON.stringify(definition.partitionKey?.paths) !== JSON.stringify(found.definition.partitionKey.paths)) {
    throw badRequest('Document collection partition key cannot be changed.');
  }
  store.commit([{ op: 'container', db, definition: { ...definition, id: coll } }]);
  return { status: 200, body: describeContainer(found) };
}

function partitionKeyRanges(store: CosmosStore, db: string, coll: string): Response {
  const { rid } = store.container(db, coll);
  const range = { id: '0', _rid: `${rid}range`, minInclusive: '', maxExclusive: 'FF', status: 'online', parents: [] };
  return { status: 200, body: { _rid: rid, PartitionKeyRanges: [range], _count: 1 } };
}

function documents(store: CosmosStore, request: Request, db: string, coll: string): Response {
  const { method, headers, body } = request;
  const found = store.container(db, coll);
  if (headers['a-im'] !== undefined) throw badRequest('The change feed is not supported here.');
  if (method === 'GET') return page(found, headers, store.documents(found, partitionHeader(found, headers)));
  if (method !== 'POST') throw notFound('Resource not found.');
  // Without a plan the SDK sends the query itself, which one physical partition answers in full.
  if (headers['x-ms-cosmos-is-query-plan-request'] !== undefined)
    throw badRequest('Query plans are not supported here.');
  if (
    headers['x-ms-documentdb-isquery'] !== undefined ||
    headers['content-type']?.startsWith('application/query+json')
  ) {
    const rows = store.documents(found, partitionHeader(found, headers));
    return page(found, headers, runQuery(objectBody(body) as unknown as QuerySpec, rows));
  }
  const transaction = new Transaction(store, { db, coll, pk: requiredPartition(found, headers) });
  if (headers['x-ms-cosmos-is-batch-request'] !== undefined) {
    if (String(headers['x-ms-cosmos-batch-atomic']).toLowerCase() !== 'true')
      throw badRequest('Only atomic batches are supported here.');
    const { status, results } = runBatch(transaction, body as BatchOperation[]);
    return { status, body: results };
  }
  const upsert = String(headers['x-ms-documentdb-is-upsert']).toLowerCase() === 'true';
  const result = upsert ? transaction.upsert(body, conditions(headers)) : transaction.create(body);
  transaction.commit();
  return answer(result, headers);
}

function document(
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

function answer({ status, doc }: DocumentResult, headers: IncomingHttpHeaders): Response {
  const minimal = String(headers.prefer ?? '').includes('return=minimal');
  return { status, ...(doc && !minimal ? { body: doc } : {}), headers: doc ? { etag: doc._etag } : {} };
}

/** One page; the continuation says how many rows came before it. */
function page(found: Container, headers: IncomingHttpHeaders, rows: readonly unknown[]): Response {
  const wanted = Number(headers['x-ms-max-item-count'] ?? DEFAULT_PAGE);
  const size = wanted > 0 ? wanted : DEFAULT_PAGE;
  const token = headers['x-ms-continuation'];
  const start = token === undefined ? 0 : Number(/^after:(\d+)$/.exec(String(token))?.[1]);
  if (Number.isNaN(start)) throw badRequest('Invalid continuation token.');
  const items = rows.slice(start, start + size);
  const more = start + size < rows.length;
  return {
    status: 200,
    body: { _rid: found.rid, Documents: items, _count: items.length },
    headers: {
      'x-ms-item-count': String(items.length),
      ...(more ? { 'x-ms-continuation': `after:${start + size}` } : {}),
    },
  };
}

function partitionHeader(found: Container, headers: IncomingHttpHeaders): string | undefined {
  const text = headers['x-ms-documentdb-partitionkey'];
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(String(text));
  } catch {
    throw badRequest(`Partition key ${String(text)} is invalid.`);
  }
  if (!Array.isArray(value)) throw badRequest('Partition key must be a JSON array.');
  if (value.length !== found.definition.partitionKey.paths.length)
    throw badRequest(
      "Partition key provided either doesn't correspond to definition in the collection or doesn't match partition key field values.",
    );
  return JSON.stringify(value);
}

function requiredPartition(found: Container, headers: IncomingHttpHeaders): string {
  const pk = partitionHeader(found, headers);
  if (pk === undefined) throw badRequest('PartitionKey value must be supplied for this operation.');
  return pk;
}

function conditions(headers: IncomingHttpHeaders): Conditions {
  return { ifMatch: headers['if-match'], ifNoneMatch: headers['if-none-match'] };
}

/** Data roles of Entra may not create, change or delete databases and containers: that is the management plane's. */
function onlyMasterKey(caller: Caller): void {
  if (caller === 'entra')
    throw forbidden('Request blocked by Auth: this request cannot be authorized by AAD token in data plane.');
}

function objectBody(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest('The request body must be an object.');
  return body as Record<string, unknown>;
}

function describeDatabase(store: CosmosStore, id: string): unknown {
  const { rid } = store.database(id);
  return { id, _rid: rid, _self: `dbs/${rid}/`, _etag: `"${rid}"`, _colls: 'colls/', _users: 'users/', _ts: 0 };
}

function describeContainer({ definition, rid }: Container): unknown {
  const indexingPolicy = definition.indexingPolicy ?? {
    indexingMode: 'consistent',
    automatic: true,
    includedPaths: [{ path: '/*' }],
    excludedPaths: [],
  };
  return {
    ...definition,
    indexingPolicy,
    _rid: rid,
    _self: `dbs/x/colls/${rid}/`,
    _etag: `"${rid}"`,
    _docs: 'docs/',
    _ts: 0,
  };
}
