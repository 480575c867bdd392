import { Agent, type Dispatcher, request } from 'undici';
import type { KubeEndpoint, TlsFiles } from './credentials.ts';
import { KubeError } from './errors.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeStatus } from './objects.ts';

export interface TransportOptions {
  readonly endpoint: KubeEndpoint;
  readonly metrics: KubeMetrics;
  readonly userAgent: string;
}

export interface Outgoing {
  readonly method: Dispatcher.HttpMethod;
  /** With its query. */
  readonly path: string;
  readonly signal: AbortSignal;
  readonly watch: boolean;
  readonly body?: string;
  readonly contentType?: string;
}

interface Connections {
  readonly requests: Agent;
  readonly watches: Agent;
  readonly stamp: string;
}

/** A list page of 500 Pods is a few MiB; nothing else comes near it. */
const MAX_BODY_BYTES = 64 * 2 ** 20;
/** A Status is a few hundred bytes, with the causes of an invalid object a few thousand. */
const MAX_STATUS_BYTES = 256 * 2 ** 10;
const CONNECT_MS = 10_000;
/** A watch is answered at once, before its first event. */
const WATCH_HEADERS_MS = 30_000;

/** Connections to the API server, with what it wants to know of us. Watches have their own, so that a stuck stream never delays a request. */
export class KubeTransport {
  readonly #options: TransportOptions;
  readonly #host: string;
  readonly #root: string;
  #connections: Connections | undefined;
  #closed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#host = new URL(options.endpoint.url).host;
    this.#root = options.endpoint.url.replace(/\/$/, '');
  }

  /** An answer of any status, its body unread. Rejects when there is none, or with the signal's reason. */
  async send({ method, path, signal, watch, body, contentType }: Outgoing): Promise<Dispatcher.ResponseData> {
    const { endpoint, metrics, userAgent } = this.#options;
    const labels = { method, host: this.#host };
    try {
      // A kubeconfig may run a program for its token, and that program may hang.
      const [token, tls] = await unlessAborted(Promise.all([endpoint.token(), endpoint.tls()]), signal);
      const { requests, watches } = this.#connect(tls);
      const response = await request(this.#root + path, {
        ...{ dispatcher: watch ? watches : requests, method, signal },
        headers: {
          accept: 'application/json',
          'user-agent': userAgent,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(contentType === undefined ? {} : { 'content-type': contentType }),
        },
        ...(body === undefined ? {} : { body }),
      });
      metrics.requests.inc({ ...labels, code: String(response.statusCode) });
      // Tokens are renewed under us: the next try reads it anew.
      if (response.statusCode === 401) endpoint.refused?.();
      return response;
    } catch (error) {
      // The name that client-go gives to a request without an answer.
      metrics.requests.inc({ ...labels, code: '<error>' });
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connections = this.#connections;
    this.#connections = undefined;
    await Promise.all([connections?.requests.destroy(), connections?.watches.destroy()]);
  }

  /** Made anew when the authority's or the client's certificate has changed: both are rotated under running processes. */
  #connect(tls: TlsFiles): Connections {
    if (this.#closed) throw new Error('the client is closed');
    if (this.#connections?.stamp === tls.stamp) return this.#connections;
    const old = this.#connections;
    this.#connections = { ...agents(tls), stamp: tls.stamp };
    // What runs finishes on the old connections; watches end by themselves within ten minutes.
    if (old) void Promise.allSettled([old.requests.close(), old.watches.close()]);
    return this.#connections;
  }
}

/**
 * HTTP/1.1 on purpose: a request given up takes its socket with it, so that one dead connection (a peer that vanished without a word) costs one
 * request. Under HTTP/2 all requests share that connection, and the Lease would be lost with it.
 */
function agents({ ca, cert, key, rejectUnauthorized, servername }: TlsFiles): { requests: Agent; watches: Agent } {
  const connect = {
    timeout: CONNECT_MS,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert, key }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
    ...(servername === undefined ? {} : { servername }),
  };
  return {
    requests: new Agent({ connect, allowH2: false, connections: 32, keepAliveTimeout: 30_000 }),
    // A watch is silent for as long as nothing changes: its reflector judges it.
    watches: new Agent({
      ...{ connect, allowH2: false, connections: 64, bodyTimeout: 0, headersTimeout: WATCH_HEADERS_MS },
    }),
  };
}

/** Throws RangeError above `maxBytes`, and then reads no further. */
export async function readText(body: Dispatcher.ResponseData['body'], maxBytes = MAX_BODY_BYTES): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    // Leaving the loop destroys the stream.
    if (bytes > maxBytes) throw new RangeError(`an answer above ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes).toString('utf8');
}

/** What the server says instead of an object. Never rejects: a refusal whose text is lost is a refusal. */
export async function refusal(response: Dispatcher.ResponseData, what: string): Promise<KubeError> {
  const text = await readText(response.body, MAX_STATUS_BYTES).catch(() => '');
  const seconds = Number(response.headers['retry-after']);
  return new KubeError(response.statusCode, parseStatus(text), what, seconds > 0 ? seconds * 1000 : undefined);
}

function parseStatus(text: string): KubeStatus {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? (value as KubeStatus) : {};
  } catch {
    const message = text.trim().slice(0, 200);
    return message === '' ? {} : { message };
  }
}

/** The promise's own end, or the signal's reason when that comes first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
