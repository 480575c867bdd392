import type { Clock } from '../../platform/clock.ts';
import { BODY_TIMEOUT, BODY_TOO_LARGE } from './errors.ts';
import { answerError, type HttpExchange } from './exchange.ts';

export type BodyOutcome =
  | { kind: 'complete'; bytes: Buffer }
  /** Too large, too slow or gone: an answer has been given if one could be. */
  | { kind: 'over' };

export interface BodyLimits {
  maxBytes: number;
  /** For the whole body, so that a trickle cannot hold a connection. */
  timeoutMs: number;
}

/** Collects a request's body. Must be called before the handler's first await; judging the request may run beside it. */
export function readBody(exchange: HttpExchange, limits: BodyLimits, clock: Clock): Promise<BodyOutcome> {
  return new Promise((resolve) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    let done = false;
    const finish = (outcome: BodyOutcome) => {
      if (done) return;
      done = true;
      chunks = [];
      timer.cancel();
      resolve(outcome);
    };
    const timer = clock.after(limits.timeoutMs, () => {
      if (!done) answerError(exchange, BODY_TIMEOUT.with());
      finish({ kind: 'over' });
    });
    exchange.onAborted(() => finish({ kind: 'over' }));
    const tooLarge = () => {
      answerError(exchange, BODY_TOO_LARGE.with());
      finish({ kind: 'over' });
    };
    if (Number(exchange.header('content-length') ?? 0) > limits.maxBytes) return tooLarge();
    exchange.onData((chunk, isLast) => {
      if (done) return;
      bytes += chunk.byteLength;
      if (bytes > limits.maxBytes) return tooLarge();
      // The server library takes the chunk's memory back when this returns.
      if (chunk.byteLength > 0) chunks.push(Buffer.from(chunk));
      if (isLast)
        finish({ kind: 'complete', bytes: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks) });
    });
  });
}

/** Parsed JSON, or undefined: the parser's own message quotes the body and must go nowhere. */
export function parseJson(bytes: Buffer): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(bytes.toString('utf8')) };
  } catch {
    return undefined;
  }
}
