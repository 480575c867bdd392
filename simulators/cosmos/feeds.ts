import type { IncomingHttpHeaders } from 'node:http';
import { charge, sizeOf } from './charge.ts';
import { badRequest, CosmosHttpError } from './http_error.ts';
import { planOf } from './query/plan.ts';
import { PreparedQuery, type QuerySpec } from './query/run.ts';
import { scopeOf } from './scope.ts';
import type { Container, Row, Scope } from './store.ts';
import { objectBody, type Response } from './wire.ts';

const DEFAULT_PAGE = 100;
/** A page ends here whatever was asked for. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

/** Every document that the request may see, page by page. */
export function readFeed(container: Container, headers: IncomingHttpHeaders): Response {
  return scanned(container, headers, scopeOf(container, headers), ({ doc }) => [doc], charge.query);
}

export function runQuery(container: Container, headers: IncomingHttpHeaders, body: unknown): Response {
  const prepared = new PreparedQuery(objectBody(body) as unknown as QuerySpec);
  if (headers['x-ms-cosmos-is-query-plan-request'] !== undefined) return { status: 200, body: planOf(prepared) };
  const scope = scopeOf(container, headers);
  const everywhere = scope.pk === undefined && scope.range === undefined;
  if (everywhere) checkServable(prepared, headers);
  if (prepared.isScan) return scanned(container, headers, scope, ({ doc }) => prepared.scan(doc), charge.query);
  const start = continuation(headers, 'offset');
  const results = prepared.run(documentsOf(container, scope));
  const { items, bytes } = cut(results.slice(start), pageSize(headers));
  const more = start + items.length < results.length;
  return answer(container, items, charge.query(bytes), more ? `offset:${start + items.length}` : undefined);
}

/** Changes since a point of the container's log, each document once with its newest version; 304 when there are none. */
export function changeFeed(container: Container, headers: IncomingHttpHeaders): Response {
  if (String(headers['a-im']).toLowerCase() !== 'incremental feed')
    throw badRequest('Only the latest version mode of the change feed is supported by this simulator.');
  const scope = scopeOf(container, headers);
  const after = changePoint(container, headers);
  const sinceSeconds = Date.parse(String(headers['if-modified-since'] ?? '')) / 1000;
  const items: unknown[] = [];
  let last = after;
  for (const { doc, lsn } of container.changes(scope, after)) {
    if (items.length >= pageSize(headers)) break;
    last = lsn;
    if (!(doc._ts < sinceSeconds)) items.push({ ...doc, _lsn: lsn });
  }
  const etag = `"${items.length > 0 ? last : Math.max(after, container.lsn)}"`;
  if (items.length === 0) return { status: 304, charge: charge.refused, headers: { etag } };
  const page = answer(container, items, charge.query(sizeOf(items)), undefined);
  return { ...page, headers: { ...page.headers, etag } };
}

function changePoint(container: Container, headers: IncomingHttpHeaders): number {
  const token = headers['if-none-match'];
  if (token === undefined) return 0;
  // From now on.
  if (token === '*') return container.lsn;
  const lsn = Number(/^"?(\d+)"?$/.exec(token)?.[1]);
  if (Number.isNaN(lsn)) throw badRequest('The change feed continuation is invalid.');
  return lsn;
}

/** Answers page by page without looking at more than a page: the continuation says at which place to go on. */
function scanned(
  container: Container,
  headers: IncomingHttpHeaders,
  scope: Scope,
  resultsOf: (row: Row) => unknown[],
  cost: (bytes: number) => number,
): Response {
  const items: unknown[] = [];
  let bytes = 0;
  for (const row of container.rows(scope, continuation(headers, 'place'))) {
    if (items.length >= pageSize(headers) || bytes >= MAX_PAGE_BYTES)
      return answer(container, items, cost(bytes), `place:${row.place}`);
    const results = resultsOf(row);
    items.push(...results);
    bytes += results.reduce<number>((sum, result) => sum + sizeOf(result), 0);
  }
  return answer(container, items, cost(bytes), undefined);
}

/** The gateway of the service answers across partitions by itself only what needs no putting together. */
function checkServable(prepared: PreparedQuery, headers: IncomingHttpHeaders): void {
  if (String(headers['x-ms-documentdb-query-enablecrosspartition']).toLowerCase() !== 'true')
    throw badRequest(
      'Cross partition query is required but disabled. Please set x-ms-documentdb-query-enablecrosspartition to true.',
    );
  if (prepared.isScan) return;
  throw new CosmosHttpError(
    400,
    'BadRequest',
    'The provided cross partition query can not be directly served by the gateway.',
    { 'x-ms-substatus': '1004' },
    { additionalErrorInfo: JSON.stringify(planOf(prepared)) },
  );
}

function* documentsOf(container: Container, scope: Scope): Generator<Record<string, unknown>> {
  for (const { doc } of container.rows(scope, 0)) yield doc;
}

function cut(results: readonly unknown[], size: number): { items: unknown[]; bytes: number } {
  const items: unknown[] = [];
  let bytes = 0;
  for (const result of results) {
    if (items.length >= size || bytes >= MAX_PAGE_BYTES) break;
    items.push(result);
    bytes += sizeOf(result);
  }
  return { items, bytes };
}

function pageSize(headers: IncomingHttpHeaders): number {
  const wanted = Number(headers['x-ms-max-item-count'] ?? DEFAULT_PAGE);
  return wanted > 0 ? wanted : DEFAULT_PAGE;
}

function continuation(headers: IncomingHttpHeaders, kind: 'place' | 'offset'): number {
  const token = headers['x-ms-continuation'];
  if (token === undefined) return 0;
  const at = Number(new RegExp(`^${kind}:(\\d+)$`).exec(String(token))?.[1]);
  if (Number.isNaN(at)) throw badRequest('Invalid continuation token.');
  return at;
}

function answer(container: Container, items: readonly unknown[], units: number, token: string | undefined): Response {
  return {
    status: 200,
    body: { _rid: container.rid, Documents: items, _count: items.length },
    charge: units,
    headers: {
      'x-ms-item-count': String(items.length),
      ...(token === undefined ? {} : { 'x-ms-continuation': token }),
    },
  };
}
