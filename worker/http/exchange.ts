import type { RtvoiceError } from '../../platform/errors.ts';
import type { MediaSocket } from '../media/ports.ts';
import type { MediaEnd } from '../ports.ts';

/**
 * One request and its answer, independent of the server library. Every method is safe at any time: after the peer has gone or after an
 * answer was given, answering does nothing.
 */
export interface HttpExchange {
  /** Upper case. */
  readonly method: string;
  /** Without the query string. */
  readonly path: string;
  /** The peer's address as text: behind an edge, the edge's. */
  readonly source: string;
  /** `name` in lower case; undefined when absent or empty. */
  header(name: string): string | undefined;
  query(name: string): string | undefined;
  /** True once nothing can be answered any more. */
  readonly closed: boolean;
  /** Status that was answered, for metrics. */
  readonly answered: number | undefined;
  answer(status: number, body?: AnswerBody): void;
  /** Runs when the peer goes away before an answer was given; at once when it already has. */
  onAborted(callback: () => void): void;
  /** To be called before the first await: later chunks would be lost. A chunk is valid only during the callback. */
  onData(callback: (chunk: Uint8Array, isLast: boolean) => void): void;
}

export interface AnswerBody {
  contentType?: string;
  headers?: Readonly<Record<string, string>>;
  text?: string;
}

/** A request to become a WebSocket. */
export interface UpgradeExchange extends HttpExchange {
  /** Completes the upgrade; false when the peer has gone. `open` runs before the first message and may refuse by undefined (closed as ended). */
  accept(open: (socket: MediaSocket) => MediaEnd | undefined): boolean;
}

export function answerJson(exchange: HttpExchange, status: number, value: unknown): void {
  exchange.answer(status, { contentType: 'application/json', text: JSON.stringify(value) });
}

/** The error's stable code, message and remedy under its own status. */
export function answerError(exchange: HttpExchange, error: RtvoiceError, headers?: Record<string, string>): void {
  exchange.answer(error.status, {
    contentType: 'application/json',
    text: JSON.stringify(error),
    ...(headers ? { headers } : {}),
  });
}
