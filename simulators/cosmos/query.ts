import { badRequest } from './http_error.ts';

export interface QuerySpec {
  query: string;
  parameters?: { name: string; value: unknown }[];
}

type Row = Record<string, unknown>;
/** `undefined` is Cosmos' own undefined: a comparison with it is neither true nor false, and filters out. */
type Expression = (row: Row) => unknown;
type Token = { kind: 'word' | 'number' | 'string' | 'param' | 'mark'; text: string };

/** Runs a query over rows that are already limited to the partition. The subset is small and honest: everything else is a 400. */
export function runQuery(spec: QuerySpec, rows: readonly Row[]): unknown[] {
  return new Parser(spec).parse()(rows);
}

/** The filter of a conditional patch: `from c where …`. */
export function matches(condition: string, row: Row): boolean {
  return runQuery({ query: `select * ${condition}` }, [row]).length === 1;
}

const TOKEN =
  /\s*(?:([A-Za-z_][A-Za-z0-9_]*)|(-?\d+(?:\.\d+)?)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(@[A-Za-z0-9_]+)|(!=|<>|<=|>=|[=<>(),.*[\]]))/y;

function tokenize(query: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < query.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(query);
    if (!match) throw badRequest(`Syntax error near character ${at} of the query.`);
    const [, word, number, single, double, param, mark] = match;
    if (word !== undefined) tokens.push({ kind: 'word', text: word });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else if (single !== undefined || double !== undefined)
      tokens.push({ kind: 'string', text: (single ?? double ?? '').replace(/\\(.)/g, '$1') });
    else if (param !== undefined) tokens.push({ kind: 'param', text: param });
    else tokens.push({ kind: 'mark', text: mark ?? '' });
  }
  return tokens;
}

class Parser {
  readonly #tokens: Token[];
  readonly #parameters: Map<string, unknown>;
  #at = 0;
  #alias = 'c';

  constructor(spec: QuerySpec) {
    if (typeof spec.query !== 'string') throw badRequest('The request body has no query.');
    this.#tokens = tokenize(spec.query);
    this.#parameters = new Map((spec.parameters ?? []).map(({ name, value }) => [name, value]));
  }

  parse(): (rows: readonly Row[]) => unknown[] {
    this.#expectWord('select');
    const projectionAt = this.#at;
    this.#skipTo('from');
    this.#alias = this.#next('word').text;
    const bodyAt = this.#at;
    this.#at = projectionAt;
    const project = this.#projection();
    this.#expectWord('from');
    this.#at = bodyAt;
    const filter = this.#word('where') ? this.#or() : () => true;
    const order = this.#word('order') ? this.#order() : undefined;
    const rest = this.#tokens[this.#at];
    if (rest) throw badRequest(`Syntax error near '${rest.text}': this simulator does not know it.`);
    return (rows) => {
      const kept = rows.filter((row) => filter(row) === true);
      if (order) kept.sort(order);
      return project(kept);
    };
  }

  #projection(): (rows: Row[]) => unknown[] {
    if (this.#mark('*')) return (rows) => rows;
    if (this.#word('value')) {
      if (this.#word('count')) {
        for (const text of ['(', '1', ')'])
          if (this.#tokens[this.#at++]?.text !== text) throw badRequest('Only COUNT(1) is supported.');
        return (rows) => [rows.length];
      }
      const { read } = this.#path();
      return (rows) => rows.map(read).filter((value) => value !== undefined);
    }
    const fields: { name: string; read: Expression }[] = [];
    do {
      const { name, read } = this.#path();
      fields.push({ name: this.#word('as') ? this.#next('word').text : name, read });
    } while (this.#mark(','));
    return (rows) =>
      rows.map((row) =>
        Object.fromEntries(
          fields.map(({ name, read }) => [name, read(row)]).filter(([, value]) => value !== undefined),
        ),
      );
  }

  #order(): (a: Row, b: Row) => number {
    this.#expectWord('by');
    const { read } = this.#path();
    const sign = this.#word('desc') ? -1 : 1;
    if (sign === 1) this.#word('asc');
    if (this.#mark(','))
      throw badRequest('The order by query does not have a corresponding composite index that it can be served from.');
    return (a, b) => sign * compareForOrder(read(a), read(b));
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#word('or')) {
      const [a, b] = [left, this.#and()];
      left = (row) => a(row) === true || b(row) === true;
    }
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.#word('and')) {
      const [a, b] = [left, this.#not()];
      left = (row) => a(row) === true && b(row) === true;
    }
    return left;
  }

  #not(): Expression {
    if (!this.#word('not')) return this.#comparison();
    const inner = this.#not();
    return (row) => {
      const value = inner(row);
      return typeof value === 'boolean' ? !value : undefined;
    };
  }

  #comparison(): Expression {
    const left = this.#value();
    if (this.#word('in')) {
      const options = this.#list();
      return (row) => options.some((option) => compare('=', left(row), option(row)) === true);
    }
    const operator = this.#tokens[this.#at];
    if (operator?.kind !== 'mark' || !['=', '!=', '<>', '<', '<=', '>', '>='].includes(operator.text)) return left;
    this.#at += 1;
    const right = this.#value();
    return (row) => compare(operator.text, left(row), right(row));
  }

  #value(): Expression {
    if (this.#mark('(')) {
      const inner = this.#or();
      this.#expectMark(')');
      return inner;
    }
    const token = this.#tokens[this.#at];
    if (token?.kind === 'word') return this.#wordValue(token);
    this.#at += 1;
    if (token?.kind === 'number') return constant(Number(token.text));
    if (token?.kind === 'string') return constant(token.text);
    if (token?.kind !== 'param') throw badRequest(`Syntax error near '${token?.text ?? 'the end'}'.`);
    if (!this.#parameters.has(token.text)) throw badRequest(`The query parameter ${token.text} has no value.`);
    return constant(this.#parameters.get(token.text));
  }

  #wordValue(token: Token): Expression {
    const word = token.text.toLowerCase();
    const constants = new Map<string, unknown>([
      ['true', true],
      ['false', false],
      ['null', null],
    ]);
    if (constants.has(word)) {
      this.#at += 1;
      return constant(constants.get(word));
    }
    if (this.#tokens[this.#at + 1]?.text !== '(') return this.#path().read;
    this.#at += 1;
    const args = this.#list();
    const [first = constant(undefined), second = constant(undefined)] = args;
    if (word === 'is_defined' && args.length === 1) return (row) => first(row) !== undefined;
    if (word === 'startswith' && args.length === 2) {
      return (row) => {
        const [text, start] = [first(row), second(row)];
        return typeof text === 'string' && typeof start === 'string' ? text.startsWith(start) : undefined;
      };
    }
    throw badRequest(`'${token.text}' is not a function this simulator knows.`);
  }

  #list(): Expression[] {
    this.#expectMark('(');
    const items: Expression[] = [];
    do items.push(this.#value());
    while (this.#mark(','));
    this.#expectMark(')');
    return items;
  }

  /** `c.a.b` or `c["a"]`. */
  #path(): { name: string; read: Expression } {
    const root = this.#next('word').text;
    if (root !== this.#alias) throw badRequest(`Identifier '${root}' could not be resolved.`);
    const names: string[] = [];
    for (;;) {
      if (this.#mark('.')) names.push(this.#next('word').text);
      else if (this.#mark('[')) {
        names.push(this.#next('string').text);
        this.#expectMark(']');
      } else break;
    }
    return {
      name: names.at(-1) ?? this.#alias,
      read: (row) => names.reduce<unknown>((at, name) => member(at, name), row),
    };
  }

  #skipTo(word: string): void {
    while (this.#tokens[this.#at] && this.#tokens[this.#at]?.text.toLowerCase() !== word) this.#at += 1;
    this.#expectWord(word);
  }

  #word(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'word' || token.text.toLowerCase() !== text) return false;
    this.#at += 1;
    return true;
  }

  #mark(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'mark' || token.text !== text) return false;
    this.#at += 1;
    return true;
  }

  #expectWord(text: string): void {
    if (!this.#word(text))
      throw badRequest(
        `Syntax error: '${text.toUpperCase()}' expected near '${this.#tokens[this.#at]?.text ?? 'the end'}'.`,
      );
  }

  #expectMark(text: string): void {
    if (!this.#mark(text))
      throw badRequest(`Syntax error: '${text}' expected near '${this.#tokens[this.#at]?.text ?? 'the end'}'.`);
  }

  #next(kind: Token['kind']): Token {
    const token = this.#tokens[this.#at];
    if (token?.kind !== kind) throw badRequest(`Syntax error near '${token?.text ?? 'the end'}'.`);
    this.#at += 1;
    return token;
  }
}

const constant =
  (value: unknown): Expression =>
  () =>
    value;

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Row)[name] : undefined;
}

/** Values of different types are unequal and have no order; so do undefined ones. */
function compare(operator: string, left: unknown, right: unknown): boolean | undefined {
  if (left === undefined || right === undefined) return undefined;
  if (operator === '=') return JSON.stringify(left) === JSON.stringify(right);
  if (operator === '!=' || operator === '<>') return JSON.stringify(left) !== JSON.stringify(right);
  if (typeof left !== typeof right || (typeof left !== 'number' && typeof left !== 'string')) return undefined;
  const order = compareForOrder(left, right);
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  return operator === '>' ? order > 0 : order >= 0;
}

const TYPE_ORDER = ['undefined', 'null', 'boolean', 'number', 'string', 'object'];

function compareForOrder(left: unknown, right: unknown): number {
  const [a, b] = [left, right].map((value) => TYPE_ORDER.indexOf(value === null ? 'null' : typeof value)) as [
    number,
    number,
  ];
  if (a !== b) return a - b;
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  if (typeof left === 'string' && typeof right === 'string') return left < right ? -1 : left > right ? 1 : 0;
  return Number(left) - Number(right) || 0;
}
