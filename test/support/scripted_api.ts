import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Writable } from 'node:stream';
import { KubeClient } from '../../controller/kube/client.ts';
import type { KubeEndpoint } from '../../controller/kube/credentials.ts';
import { createKubeMetrics } from '../../controller/kube/metrics.ts';
import type { Timer } from '../../platform/clock.ts';
import { createLog, type Log } from '../../platform/log.ts';
import { ManualClock } from '../../platform/manual_clock.ts';
import { createRegistry, type Registry } from '../../platform/metrics.ts';

/** Only so that a test that waits for nothing says for what. */
const HANG_MS = 20_000;

/** Things that come one by one, and are waited for. */
export class Arrivals<T> {
  readonly #what: string;
  readonly #hangMs: number;
  readonly #here: T[] = [];
  readonly #waiting: ((value: T) => void)[] = [];

  constructor(what: string, hangMs = HANG_MS) {
    this.#what = what;
    this.#hangMs = hangMs;
  }

  get count(): number {
    return this.#here.length;
  }

  push(value: T): void {
    const taker = this.#waiting.shift();
    if (taker) taker(value);
    else this.#here.push(value);
  }

  next(): Promise<T> {
    const value = this.#here.shift();
    if (value !== undefined) return Promise.resolve(value);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${this.#what} came`)), this.#hangMs);
      this.#waiting.push((arrived) => {
        clearTimeout(timer);
        resolve(arrived);
      });
    });
  }
}

/** One request, to be answered by the test in whatever way; never answered it is a half-open connection. */
export class Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
  /** Resolves when the client has gone away or the answer is complete. */
  readonly closed: Promise<unknown>;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse, body: string) {
    const url = new URL(request.url ?? '/', 'http://api');
    this.method = request.method ?? '';
    this.path = url.pathname;
    this.query = Object.fromEntries(url.searchParams);
    this.headers = request.headers;
    this.body = body === '' ? undefined : JSON.parse(body);
    this.#response = response;
    this.closed = once(response, 'close');
  }

  get isWatch(): boolean {
    return this.query.watch === 'true';
  }

  json(status: number, body: unknown, headers: Record<string, string> = {}): void {
    this.text(status, JSON.stringify(body), headers);
  }

  text(status: number, body: string, headers: Record<string, string> = {}): void {
    this.#response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
  }

  /** A Status, as the API server refuses. */
  refuse(code: number, reason: string, headers: Record<string, string> = {}): void {
    this.json(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: reason }, headers);
  }

  page(resourceVersion: string, items: readonly unknown[], next?: string): void {
    this.json(200, { metadata: { resourceVersion, ...(next === undefined ? {} : { continue: next }) }, items });
  }

  /** Begins an answer that goes on. */
  open(): void {
    this.#response.writeHead(200, { 'content-type': 'application/json' });
    this.#response.flushHeaders();
  }

  events(...events: readonly unknown[]): void {
    this.raw(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  }

  raw(text: string | Uint8Array): void {
    this.#response.write(text);
  }

  end(): void {
    this.#response.end();
  }

  /** The connection breaks. */
  reset(): void {
    const { socket } = this.#response;
    if (socket && 'resetAndDestroy' in socket) socket.resetAndDestroy();
  }
}

/** An API server of which each answer is told by the test. */
export class ScriptedApi implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #exchanges = new Arrivals<Exchange>('request');
  #handler: ((exchange: Exchange) => void) | undefined;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
    });
    server.on('request', (request, response) => void this.#receive(request, response));
  }

  /** `server`: an own one that does not listen yet, such as one with TLS. */
  static async start(server: Server = createServer()): Promise<ScriptedApi> {
    const api = new ScriptedApi(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return api;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** The next request that nobody has taken yet. */
  next(): Promise<Exchange> {
    return this.#exchanges.next();
  }

  /** Answers every request from now on by itself. */
  serve(handler: (exchange: Exchange) => void): void {
    this.#handler = handler;
  }

  /** Requests that came and were not expected. */
  get untaken(): number {
    return this.#exchanges.count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    try {
      for await (const chunk of request) body += String(chunk);
    } catch {
      return;
    }
    const exchange = new Exchange(request, response, body);
    if (this.#handler) this.#handler(exchange);
    else this.#exchanges.push(exchange);
  }
}

/** A clock that stands still, and tells when somebody begins to wait by it. */
export class RigClock extends ManualClock {
  readonly #set: number[] = [];
  readonly #waiting: { delayMs: number; resolve: () => void }[] = [];

  override after(delayMs: number, callback: () => void): Timer {
    const timer = super.after(delayMs, callback);
    const at = this.#waiting.findIndex((one) => one.delayMs === delayMs);
    if (at >= 0) this.#waiting.splice(at, 1)[0]?.resolve();
    else this.#set.push(delayMs);
    return timer;
  }

  /** Resolves when a timer of that length has been set; each counts once. */
  timer(delayMs: number): Promise<void> {
    const at = this.#set.indexOf(delayMs);
    if (at >= 0) {
      this.#set.splice(at, 1);
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiting.push({ delayMs, resolve }));
  }
}

const NO_TLS = { ca: undefined, cert: undefined, key: undefined, rejectUnauthorized: undefined, stamp: '' };

export function plainEndpoint(url: string, token = 'secret'): KubeEndpoint {
  return { url, token: () => Promise.resolve(token), tls: () => Promise.resolve(NO_TLS) };
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [attribute: string]: unknown;
}

/** A scripted server, a client of it whose time stands still, and what is logged. */
export interface Rig extends AsyncDisposable {
  readonly api: ScriptedApi;
  readonly client: KubeClient;
  readonly clock: RigClock;
  readonly registry: Registry;
  readonly metrics: ReturnType<typeof createKubeMetrics>;
  readonly log: Log;
  /** Lines of level warn and above, one by one. */
  readonly warnings: Arrivals<LogLine>;
  /** Passes over to another request of our own: whatever the client sent before it has come by then. */
  readonly assertQuiet: () => Promise<void>;
}

export async function startRig(endpoint: (url: string) => KubeEndpoint = plainEndpoint): Promise<Rig> {
  const api = await ScriptedApi.start();
  const clock = new RigClock();
  const registry = createRegistry({ processMetrics: false });
  const metrics = createKubeMetrics(registry);
  const { log, warnings } = captureLog();
  const client = new KubeClient({ endpoint: endpoint(api.url), clock, log, metrics });
  return {
    ...{ api, client, clock, registry, metrics, log, warnings },
    async assertQuiet() {
      const asked = fetch(`${api.url}/marker`).then((answer) => answer.text());
      const exchange = await api.next();
      if (exchange.path !== '/marker') throw new Error(`unexpected: ${exchange.method} ${exchange.path}`);
      exchange.text(200, '');
      await asked;
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      await api[Symbol.asyncDispose]();
    },
  };
}

export function captureLog(): { log: Log; warnings: Arrivals<LogLine> } {
  const warnings = new Arrivals<LogLine>('warning');
  const destination = new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      const parsed = JSON.parse(line) as LogLine;
      if (parsed.level === 'warn' || parsed.level === 'error') warnings.push(parsed);
      done();
    },
  });
  return { log: createLog({ process: 'test', destination }), warnings };
}
