import { badRequest } from '../http_error.ts';
import { type Clause, hasAggregate, type Query, type SelectItem, type Selection } from './ast.ts';
import { Cursor } from './cursor.ts';
import { readExpression } from './expressions.ts';
import { tokenize } from './tokens.ts';

/** One SELECT. What this simulator does not know is a 400, never a guess. */
export function parseQuery(text: unknown): Query {
  if (typeof text !== 'string') throw badRequest('The request body has no query.');
  const cursor = new Cursor(text, tokenize(text));
  cursor.expectWord('select');
  const distinct = cursor.words('distinct');
  const top = cursor.words('top') ? whole(cursor) : undefined;
  const { value: selection, text: selectionText } = cursor.textOf(() => readSelection(cursor));
  const { value: from, text: fromText } = cursor.textOf(() => readFrom(cursor));
  const where = cursor.words('where') ? clause(cursor) : undefined;
  const groupBy = cursor.words('group', 'by') ? clauses(cursor, clause) : [];
  const orderBy = cursor.words('order', 'by') ? clauses(cursor, ordered) : [];
  const offset = cursor.words('offset') ? whole(cursor) : undefined;
  if (offset !== undefined) cursor.expectWord('limit');
  const limit = offset === undefined ? undefined : whole(cursor);
  if (cursor.peek()) throw cursor.error(cursor.peek());
  const query = { selection, selectionText, distinct, top, ...from, fromText, where, groupBy, orderBy, offset, limit };
  check(query);
  return query;
}

function readSelection(cursor: Cursor): Selection {
  if (cursor.mark('*')) return { kind: 'all' };
  if (cursor.words('value')) return { kind: 'value', of: clause(cursor) };
  let unnamed = 0;
  const items = clauses(cursor, (): SelectItem => {
    const item = clause(cursor);
    if (cursor.words('as')) return { ...item, name: cursor.takeKind('word').text };
    const next = cursor.peek();
    if (next?.kind === 'word' && next.text.toLowerCase() !== 'from') return { ...item, name: cursor.take().text };
    const last = item.expression.kind === 'path' ? item.expression.steps.at(-1) : undefined;
    if (last?.kind === 'constant') return { ...item, name: String(last.value) };
    if (item.expression.kind === 'path') return { ...item, name: item.expression.root };
    unnamed += 1;
    return { ...item, name: `$${unnamed}` };
  });
  return { kind: 'members', items };
}

function readFrom(cursor: Cursor): Pick<Query, 'alias' | 'joins'> {
  cursor.expectWord('from');
  let alias = cursor.takeKind('word').text;
  const next = cursor.peek();
  const clauseWords = ['where', 'group', 'order', 'offset', 'join'];
  if (cursor.words('as')) alias = cursor.takeKind('word').text;
  else if (next?.kind === 'word' && !clauseWords.includes(next.text.toLowerCase())) alias = cursor.take().text;
  const joins: { alias: string; over: Query['joins'][number]['over'] }[] = [];
  while (cursor.words('join')) {
    const joined = cursor.takeKind('word').text;
    cursor.expectWord('in');
    joins.push({ alias: joined, over: readExpression(cursor) });
  }
  return { alias, joins };
}

function clause(cursor: Cursor): Clause {
  const { value: expression, text } = cursor.textOf(() => readExpression(cursor));
  return { expression, text };
}

function ordered(cursor: Cursor): Query['orderBy'][number] {
  const by = clause(cursor);
  const descending = cursor.words('desc');
  if (!descending) cursor.words('asc');
  return { ...by, descending };
}

function clauses<T>(cursor: Cursor, read: (cursor: Cursor) => T): T[] {
  const items: T[] = [];
  do items.push(read(cursor));
  while (cursor.mark(','));
  return items;
}

function whole(cursor: Cursor): number {
  const value = Number(cursor.takeKind('number').text);
  if (!Number.isSafeInteger(value)) throw badRequest('OFFSET, LIMIT and TOP need whole numbers.');
  return value;
}

function check({ orderBy, groupBy, where }: Query): void {
  if (orderBy.length > 1)
    throw badRequest('The order by query does not have a corresponding composite index that it can be served from.');
  if (orderBy.length > 0 && groupBy.length > 0) throw badRequest("'ORDER BY' is not allowed with 'GROUP BY'.");
  if (where && hasAggregate(where.expression)) throw badRequest('Aggregates are not allowed in the WHERE clause.');
}
