import { Agent, type Dispatcher, request } from 'undici';
import { type Clock, sleep } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Random } from '../../platform/random.ts';

export interface Reply {
  readonly kind: 'reply';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What `Retry-After` asks for; undefined when it says nothing or names a time of day, which another machine's clock has set. */
  readonly retryAfterMs: number | undefined;
}

/** No reply: the connection failed, broke, or nothing came in time. Whether the request was applied is not known. */
export interface NoReply {
  readonly kind: 'none';
  readonly code: string;
}

export interface Sending {
  readonly method: Dispatcher.HttpMethod;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

const MAX_BODY_BYTES = 256 * 1024;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/** Small requests to another service, each bounded in time and size. Redirects are not followed: they would carry credentials elsewhere. */
export class BoundedHttp {
  readonly #agent: Agent;
  readonly #timeoutMs: number;

  constructor({ timeoutMs }: { timeoutMs: number }) {
    this.#timeoutMs = timeoutMs;
    this.#agent = new Agent({
      connect: { timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxResponseSize: MAX_BODY_BYTES,
      connections: 2,
    });
  }

  /** Rejects with the signal's reason alone; every other trouble is a NoReply. */
  async send({ method, url, headers, body }: Sending, signal: AbortSignal): Promise<Reply | NoReply> {
    signal.throwIfAborted();
    try {
      const response = await request(url, {
        method,
        headers: { ...headers },
        dispatcher: this.#agent,
        signal: AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]),
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.body.text();
      const named = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const);
      const seconds = Number(response.headers['retry-after'] ?? Number.NaN);
      return {
        kind: 'reply',
        status: response.statusCode,
        headers: Object.fromEntries(named),
        body: text,
        retryAfterMs: seconds >= 0 ? seconds * 1000 : undefined,
      };
    } catch (error) {
      signal.throwIfAborted();
      return { kind: 'none', code: errorCode(error) };
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** Worth another try: nothing came, or the other end is busy. */
export function isPassing(reply: Reply | NoReply): boolean {
  return reply.kind === 'none' || reply.status === 408 || reply.status === 429 || reply.status >= 500;
}

/** Waits before try `attempt` (1 is the first one after a failure): what the other end asks for within bounds, else twice as long each time, with jitter. */
export function waitToRetry(
  attempt: number,
  reply: Reply | NoReply,
  { clock, random, signal }: { clock: Clock; random: Random; signal: AbortSignal },
): Promise<void> {
  const askedMs = reply.kind === 'none' ? undefined : reply.retryAfterMs;
  const ceilingMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt, 10));
  const waitMs = askedMs === undefined ? ceilingMs * (0.5 + random.fraction() / 2) : Math.min(askedMs, RETRY_MAX_MS);
  return sleep(clock, waitMs, signal);
}
