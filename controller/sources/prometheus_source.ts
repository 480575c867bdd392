import { Agent, request } from 'undici';
import type { PoolSpec } from '../../contract/pool.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';

/** The offered calls of a pool as a Prometheus server says them. Missing is never zero: it freezes. */
export type OfferedCalls =
  | { readonly kind: 'known'; readonly calls: number; readonly observedAtMs: number }
  | { readonly kind: 'missing'; readonly reason: string };

type Settings = NonNullable<PoolSpec['scaling']['prometheus']>;

const MAX_BODY_BYTES = 1024 * 1024;
const REASON_MAX = 300;
/** Answers so far apart cannot have the same time of evaluation; Prometheus tells it in milliseconds. */
const OLD_AFTER_MS = 1_000;

/** Asks one query of a Prometheus server; see its HTTP API, `/api/v1/query`. */
export class PrometheusSource {
  readonly #settings: Settings;
  readonly #token: string | undefined;
  readonly #clock: Clock;
  readonly #agent: Agent;
  #newest: OfferedCalls = { kind: 'missing', reason: 'it was not asked yet' };
  #running: Promise<void> | undefined;
  /** When the server worked out its newest answer, by its own clock, and when that was asked for by ours. */
  #evaluated: { atSeconds: number; observedAtMs: number } | undefined;

  constructor(options: { settings: Settings; token: string | undefined; clock: Clock }) {
    this.#settings = options.settings;
    this.#token = options.token;
    this.#clock = options.clock;
    const timeoutMs = options.settings.timeoutSeconds * 1000;
    this.#agent = new Agent({
      connect: { timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxResponseSize: MAX_BODY_BYTES,
    });
  }

  get newest(): OfferedCalls {
    return this.#newest;
  }

  /** Reads once; a server that is slow is not asked a second time meanwhile. */
  refresh(): Promise<void> {
    this.#running ??= this.#read().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  async #read(): Promise<void> {
    const { url, query, timeoutSeconds } = this.#settings;
    const observedAtMs = this.#clock.monotonicMs();
    try {
      const target = new URL('api/v1/query', url.endsWith('/') ? url : `${url}/`);
      target.searchParams.set('query', query);
      const response = await request(target, {
        dispatcher: this.#agent,
        signal: AbortSignal.timeout(timeoutSeconds * 1000),
        headers: this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` },
      });
      const text = await response.body.text();
      this.#newest =
        response.statusCode === 200 ? this.#take(text, observedAtMs) : missing(refusalOf(response.statusCode, text));
    } catch (error) {
      this.#newest = missing(`no answer (${errorCode(error)})`);
    }
  }

  #take(text: string, observedAtMs: number): OfferedCalls {
    const answer = parseAnswer(text);
    if (typeof answer === 'string') return missing(answer);
    const before = this.#evaluated;
    const evaluated = { atSeconds: answer.atSeconds, observedAtMs };
    // The server's clock against itself: an answer out of a cache, or of a server that stands still, was worked out no later than the one before.
    if (before && observedAtMs - before.observedAtMs >= OLD_AFTER_MS && evaluated.atSeconds <= before.atSeconds) {
      return missing('the answer is old: its time stands still');
    }
    if (!before || evaluated.atSeconds > before.atSeconds) this.#evaluated = evaluated;
    return { kind: 'known', calls: answer.calls, observedAtMs };
  }
}

const missing = (reason: string): OfferedCalls => ({ kind: 'missing', reason });

/** The one number of the answer, or why there is none, in words. */
export function readAnswer(text: string): number | string {
  const answer = parseAnswer(text);
  return typeof answer === 'string' ? answer : answer.calls;
}

interface Answer {
  status?: string;
  error?: string;
  data?: { resultType?: string; result?: unknown };
}

function parseAnswer(text: string): { calls: number; atSeconds: number } | string {
  const answer = readJson(text);
  if (!answer) return 'the answer is not JSON';
  if (answer.status !== 'success') return `the query failed: ${answer.error ?? 'no reason given'}`.slice(0, REASON_MAX);
  const { resultType, result } = answer.data ?? {};
  if (resultType === 'scalar' && Array.isArray(result)) return sampleOf(result);
  if (resultType !== 'vector' || !Array.isArray(result))
    return `the query gives a ${resultType ?? 'nothing'}, not one number`;
  if (result.length === 0) return 'the query gives nothing';
  if (result.length > 1) return `the query gives ${result.length} series, not one; sum() them`;
  const [series] = result as ({ value?: unknown[] } | null)[];
  return sampleOf(series?.value ?? []);
}

/** `[time of the evaluation, value as text]`. */
function sampleOf([at, value]: readonly unknown[]): { calls: number; atSeconds: number } | string {
  const calls = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  if (!Number.isFinite(calls) || calls < 0) return `the query gives ${String(value).slice(0, 40)}, not a number from 0`;
  return { calls, atSeconds: Number(at) };
}

/** A server that refuses a query says in JSON what is wrong with it. */
function refusalOf(status: number, text: string): string {
  const error = readJson(text)?.error;
  return (typeof error === 'string' ? `status ${status}: ${error}` : `status ${status}`).slice(0, REASON_MAX);
}

function readJson(text: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? (value as Answer) : undefined;
  } catch {
    return undefined;
  }
}
