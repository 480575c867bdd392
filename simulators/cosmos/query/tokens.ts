import { badRequest } from '../http_error.ts';

export interface Token {
  readonly kind: 'word' | 'number' | 'string' | 'parameter' | 'mark';
  readonly text: string;
  /** Where it begins and ends in the query. */
  readonly start: number;
  readonly end: number;
}

const TOKEN =
  /([A-Za-z_][A-Za-z0-9_]*)|(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(@[A-Za-z0-9_]+)|(\?\?|\|\||!=|<>|<=|>=|[=<>(),.*[\]{}:?+\-/%])/y;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' };

export function tokenize(query: string): Token[] {
  const tokens: Token[] = [];
  let at = skipBlanks(query, 0);
  while (at < query.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(query);
    if (!match) throw badRequest(`Syntax error near character ${at} of the query.`);
    const [, word, number, single, double, parameter, mark] = match;
    const place = { start: at, end: TOKEN.lastIndex };
    if (word !== undefined) tokens.push({ kind: 'word', text: word, ...place });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number, ...place });
    else if (single !== undefined || double !== undefined)
      tokens.push({ kind: 'string', text: unescaped(single ?? double ?? ''), ...place });
    else if (parameter !== undefined) tokens.push({ kind: 'parameter', text: parameter, ...place });
    else tokens.push({ kind: 'mark', text: mark ?? '', ...place });
    at = skipBlanks(query, TOKEN.lastIndex);
  }
  return tokens;
}

function skipBlanks(query: string, from: number): number {
  let at = from;
  while (at < query.length && /\s/.test(query[at] ?? '')) at += 1;
  return at;
}

function unescaped(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|.)/g, (_, code: string) =>
    code.length === 5 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (ESCAPES[code] ?? code),
  );
}
