import { AGGREGATES, type Expression } from './ast.ts';
import type { Cursor } from './cursor.ts';

const CONSTANTS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
  ['undefined', undefined],
]);
const COMPARISONS: ReadonlySet<string> = new Set(['=', '!=', '<>', '<', '<=', '>', '>=']);

/** Reads one expression; operators bind as the language's reference says: `?:`, `??`, or, and, not, comparison, `||`, sum, product. */
export function readExpression(cursor: Cursor): Expression {
  const test = coalesce(cursor);
  if (!cursor.mark('?')) return test;
  const then = readExpression(cursor);
  cursor.expectMark(':');
  return { kind: 'choice', test, then, else: readExpression(cursor) };
}

function coalesce(cursor: Cursor): Expression {
  let left = or(cursor);
  while (cursor.mark('??')) left = { kind: 'operator', name: '??', left, right: or(cursor) };
  return left;
}

function or(cursor: Cursor): Expression {
  let left = and(cursor);
  while (cursor.words('or')) left = { kind: 'operator', name: 'or', left, right: and(cursor) };
  return left;
}

function and(cursor: Cursor): Expression {
  let left = not(cursor);
  while (cursor.words('and')) left = { kind: 'operator', name: 'and', left, right: not(cursor) };
  return left;
}

function not(cursor: Cursor): Expression {
  return cursor.words('not') ? { kind: 'not', of: not(cursor) } : comparison(cursor);
}

function comparison(cursor: Cursor): Expression {
  const value = concatenation(cursor);
  const negated = cursor.words('not');
  const found = range(cursor, value);
  if (found) return negated ? { kind: 'not', of: found } : found;
  if (negated) throw cursor.error(cursor.peek());
  const operator = cursor.peek();
  if (operator?.kind !== 'mark' || !COMPARISONS.has(operator.text)) return value;
  cursor.take();
  return { kind: 'operator', name: operator.text, left: value, right: concatenation(cursor) };
}

/** What follows a value in `IN (…)`, `BETWEEN … AND …` and `LIKE …`. */
function range(cursor: Cursor, value: Expression): Expression | undefined {
  if (cursor.words('in')) return { kind: 'in', value, options: list(cursor, '(', ')') };
  if (cursor.words('like')) return { kind: 'like', value, pattern: concatenation(cursor) };
  if (!cursor.words('between')) return undefined;
  const low = concatenation(cursor);
  cursor.expectWord('and');
  return { kind: 'between', value, low, high: concatenation(cursor) };
}

function concatenation(cursor: Cursor): Expression {
  return binary(cursor, ['||'], sum);
}

function sum(cursor: Cursor): Expression {
  return binary(cursor, ['+', '-'], product);
}

function product(cursor: Cursor): Expression {
  return binary(cursor, ['*', '/', '%'], unary);
}

function binary(cursor: Cursor, names: readonly string[], next: (cursor: Cursor) => Expression): Expression {
  let left = next(cursor);
  for (;;) {
    const name = names.find((each) => cursor.mark(each));
    if (name === undefined) return left;
    left = { kind: 'operator', name, left, right: next(cursor) };
  }
}

function unary(cursor: Cursor): Expression {
  if (!cursor.mark('-')) return primary(cursor);
  return { kind: 'operator', name: '-', left: { kind: 'constant', value: 0 }, right: unary(cursor) };
}

function primary(cursor: Cursor): Expression {
  const token = cursor.peek();
  if (token?.kind === 'mark') return bracketed(cursor);
  cursor.take();
  switch (token?.kind) {
    case 'number':
      return { kind: 'constant', value: Number(token.text) };
    case 'string':
      return { kind: 'constant', value: token.text };
    case 'parameter':
      return steps(cursor, { kind: 'parameter', name: token.text });
    case 'word':
      return named(cursor, token.text);
    default:
      throw cursor.error(token);
  }
}

function bracketed(cursor: Cursor): Expression {
  if (cursor.mark('(')) {
    const inner = readExpression(cursor);
    cursor.expectMark(')');
    return inner;
  }
  if (cursor.peek()?.text === '[') return { kind: 'array', items: list(cursor, '[', ']') };
  cursor.expectMark('{');
  const members: { name: string; value: Expression }[] = [];
  while (!cursor.mark('}')) {
    if (members.length > 0) cursor.expectMark(',');
    const name = cursor.take().text;
    cursor.expectMark(':');
    members.push({ name, value: readExpression(cursor) });
  }
  return { kind: 'object', members };
}

function named(cursor: Cursor, text: string): Expression {
  const word = text.toLowerCase();
  if (cursor.peek()?.text === '(') {
    const args = list(cursor, '(', ')');
    const aggregate = AGGREGATES.find((name) => name === word);
    const [of] = args;
    if (aggregate && of && args.length === 1) return { kind: 'aggregate', name: aggregate, of };
    return { kind: 'call', name: word, args };
  }
  if (CONSTANTS.has(word)) return { kind: 'constant', value: CONSTANTS.get(word) };
  return steps(cursor, { kind: 'path', root: text, steps: [] });
}

/** `.name`, `["name"]`, `[0]` behind what a path begins with. */
function steps(cursor: Cursor, from: Expression): Expression {
  const found: Expression[] = [];
  for (;;) {
    if (cursor.mark('.')) found.push({ kind: 'constant', value: cursor.takeKind('word').text });
    else if (cursor.mark('[')) {
      found.push(readExpression(cursor));
      cursor.expectMark(']');
    } else break;
  }
  if (from.kind === 'path') return { ...from, steps: found };
  if (found.length > 0) throw cursor.error(cursor.peek());
  return from;
}

function list(cursor: Cursor, open: string, close: string): Expression[] {
  cursor.expectMark(open);
  const items: Expression[] = [];
  while (!cursor.mark(close)) {
    if (items.length > 0) cursor.expectMark(',');
    items.push(readExpression(cursor));
  }
  return items;
}
