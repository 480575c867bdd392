import { badRequest } from '../http_error.ts';
import type { AggregateName, Clause, Query } from './ast.ts';
import type { PreparedQuery } from './run.ts';

/** Replaced by the client with what it has seen already. */
const ORDER_FILTER = '{documentdb-formattableorderbyquery-filter}';
const AGGREGATE_TYPES: Readonly<Record<AggregateName, string>> = {
  count: 'Count',
  sum: 'Sum',
  min: 'Min',
  max: 'Max',
  avg: 'Average',
};

/**
 * How a client gathers this query's result from several physical partitions: the query that each of them gets, and what to do with
 * their answers (partitionedQueryExecutionInfo, version 2).
 */
export function planOf(prepared: PreparedQuery): unknown {
  const { query } = prepared;
  const { orderBy, groupBy, distinct, top, offset, limit } = query;
  const aggregates = aggregatesOf(query);
  const grouped = groupBy.length > 0 || (prepared.isAggregate && query.selection.kind === 'members');
  return {
    partitionedQueryExecutionInfoVersion: 2,
    queryInfo: {
      distinctType: distinct ? (orderBy.length > 0 ? 'Ordered' : 'Unordered') : 'None',
      top: top ?? null,
      offset: offset ?? null,
      limit: limit ?? null,
      orderBy: orderBy.map(({ descending }) => (descending ? 'Descending' : 'Ascending')),
      orderByExpressions: orderBy.map(({ text }) => text),
      groupByExpressions: groupBy.map(({ text }) => text),
      groupByAliases:
        grouped && query.selection.kind === 'members' ? query.selection.items.map(({ name }) => name) : [],
      aggregates: query.selection.kind === 'value' ? aggregates : [],
      groupByAliasToAggregateType: grouped ? aliasTypes(query) : {},
      rewrittenQuery: rewritten(prepared, grouped),
      hasSelectValue: query.selection.kind === 'value',
      hasNonStreamingOrderBy: false,
    },
    queryRanges: [{ min: '', max: 'FF', isMinInclusive: true, isMaxInclusive: false }],
  };
}

function rewritten(prepared: PreparedQuery, grouped: boolean): string {
  const { query } = prepared;
  const { selection, selectionText, distinct, top, offset, limit, groupBy, orderBy, fromText } = query;
  const filter = query.where ? ` WHERE ${query.where.text}` : '';
  if (grouped) {
    if (selection.kind !== 'members') throw badRequest('GROUP BY with VALUE is not supported by this simulator.');
    const payload = selection.items.map((item) => `${JSON.stringify(item.name)}: ${partial(item)}`).join(', ');
    const items = groupBy.map(({ text }) => `{"item": ${text}}`).join(', ');
    const by = groupBy.length > 0 ? ` GROUP BY ${groupBy.map(({ text }) => text).join(', ')}` : '';
    const keys = groupBy.length > 0 ? `[${items}] AS groupByItems, ` : '';
    return `SELECT ${keys}{${payload}} AS payload ${fromText}${filter}${by}`;
  }
  if (prepared.isAggregate && selection.kind === 'value') {
    return `SELECT VALUE [${partial(selection.of)}] ${fromText}${filter}`;
  }
  const [by] = orderBy;
  const rest = offset === undefined ? '' : ` OFFSET 0 LIMIT ${offset + (limit ?? 0)}`;
  const first = `${distinct ? 'DISTINCT ' : ''}${top === undefined ? '' : `TOP ${top} `}`;
  if (!by) return `SELECT ${first}${selectionText} ${fromText}${filter}${rest}`;
  const both = query.where ? `(${query.where.text}) AND (${ORDER_FILTER})` : `(${ORDER_FILTER})`;
  const order = `ORDER BY ${by.text} ${by.descending ? 'DESC' : 'ASC'}`;
  const keys = `${query.alias}._rid, [{"item": ${by.text}}] AS orderByItems`;
  return `SELECT ${first}${keys}, ${payloadOf(query)} AS payload ${fromText} WHERE ${both} ${order}${rest}`;
}

/** What each partition answers for an item: an aggregate in a form that can be put together with others. */
function partial({ expression, text }: Clause): string {
  if (expression.kind !== 'aggregate') return text;
  const inner = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
  switch (expression.name) {
    case 'avg':
      return `{"item": {"sum": SUM(${inner}), "count": COUNT(${inner})}}`;
    case 'min':
    case 'max':
      return `{"item": {"${expression.name}": ${text}, "count": COUNT(${inner})}}`;
    default:
      return `{"item": ${text}}`;
  }
}

function payloadOf({ selection, alias }: Query): string {
  if (selection.kind === 'all') return alias;
  if (selection.kind === 'value') return selection.of.text;
  return `{${selection.items.map(({ name, text }) => `${JSON.stringify(name)}: ${text}`).join(', ')}}`;
}

function aggregatesOf({ selection }: Query): string[] {
  if (selection.kind !== 'value' || selection.of.expression.kind !== 'aggregate') return [];
  return [AGGREGATE_TYPES[selection.of.expression.name]];
}

function aliasTypes({ selection }: Query): Record<string, string | null> {
  if (selection.kind !== 'members') return {};
  return Object.fromEntries(
    selection.items.map(({ name, expression }) => [
      name,
      expression.kind === 'aggregate' ? AGGREGATE_TYPES[expression.name] : null,
    ]),
  );
}
