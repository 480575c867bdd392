import { badRequest } from '../http_error.ts';
import type { Token } from './tokens.ts';

/** Where a parser stands in the tokens of a query. */
export class Cursor {
  readonly #query: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(query: string, tokens: readonly Token[]) {
    this.#query = query;
    this.#tokens = tokens;
  }

  peek(ahead = 0): Token | undefined {
    return this.#tokens[this.#at + ahead];
  }

  /** Takes the next token, whatever it is. */
  take(): Token {
    const token = this.#tokens[this.#at];
    if (!token) throw badRequest('Syntax error: the query ends too early.');
    this.#at += 1;
    return token;
  }

  takeKind(kind: Token['kind']): Token {
    const token = this.take();
    if (token.kind !== kind) throw this.error(token);
    return token;
  }

  /** Takes these keywords when they are next, all of them or none. */
  words(...texts: readonly string[]): boolean {
    const found = texts.every((text, ahead) => {
      const token = this.peek(ahead);
      return token?.kind === 'word' && token.text.toLowerCase() === text;
    });
    if (found) this.#at += texts.length;
    return found;
  }

  mark(text: string): boolean {
    const token = this.peek();
    if (token?.kind !== 'mark' || token.text !== text) return false;
    this.#at += 1;
    return true;
  }

  expectWord(text: string): void {
    if (!this.words(text)) throw this.error(this.peek());
  }

  expectMark(text: string): void {
    if (!this.mark(text)) throw this.error(this.peek());
  }

  /** Runs `read` and gives the text that it has read. */
  textOf<T>(read: () => T): { value: T; text: string } {
    const start = this.peek()?.start ?? this.#query.length;
    const value = read();
    const end = this.#tokens[this.#at - 1]?.end ?? start;
    return { value, text: this.#query.slice(start, end) };
  }

  error(token: Token | undefined): Error {
    return badRequest(`Syntax error, incorrect syntax near '${token?.text ?? 'the end'}'.`);
  }
}
