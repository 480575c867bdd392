import type { Caller } from './auth.ts';
import { badRequest, forbidden, notFound } from './http_error.ts';
import { document, documents } from './item_routes.ts';
import { checkDefinition } from './rules.ts';
import type { Container, ContainerDefinition, CosmosStore } from './store.ts';
import { objectBody, type Request, type Response } from './wire.ts';

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
  const unique = (each: ContainerDefinition) => JSON.stringify(each.uniqueKeyPolicy?.uniqueKeys ?? []);
  if (unique(definition) !== unique(found.definition)) throw badRequest('Unique keys cannot be changed.');
  checkDefinition({ ...definition, id: coll });
  store.commit([{ op: 'container', db, definition: { ...definition, id: coll } }]);
  return { status: 200, body: describeContainer(found) };
}

function partitionKeyRanges(store: CosmosStore, db: string, coll: string): Response {
  const { rid, ranges } = store.container(db, coll);
  const all = ranges.map(({ min, max }, id) => ({
    ...{ id: String(id), _rid: `${rid}range${id}`, minInclusive: min, maxExclusive: max },
    ...{ status: 'online', parents: [], throughputFraction: 1 / ranges.length },
  }));
  return { status: 200, body: { _rid: rid, PartitionKeyRanges: all, _count: all.length } };
}

/** Data roles of Entra may not create, change or delete databases and containers: that is the management plane's. */
function onlyMasterKey(caller: Caller): void {
  if (caller === 'entra')
    throw forbidden('Request blocked by Auth: this request cannot be authorized by AAD token in data plane.');
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
  const { paths, kind = paths.length > 1 ? 'MultiHash' : 'Hash', version = 2 } = definition.partitionKey;
  return {
    ...definition,
    partitionKey: { paths, kind, version },
    indexingPolicy,
    _rid: rid,
    _self: `dbs/x/colls/${rid}/`,
    _etag: `"${rid}"`,
    _docs: 'docs/',
    _ts: 0,
  };
}
