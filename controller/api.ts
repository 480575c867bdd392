import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { RtvoiceError } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import type { Registry } from '../platform/metrics.ts';
import type { ApiAnswer, ApiRoute } from './api_routes.ts';
import { API_UNAUTHORIZED, REQUEST_INVALID, ROUTE_UNKNOWN } from './errors.ts';

export interface ApiDeps {
  readonly routes: readonly ApiRoute[];
  readonly registry: Registry;
  /** Undefined: nothing but the probes is answered. */
  readonly token: string | undefined;
  readonly log: Log;
  readonly ready: () => boolean;
}

const MAX_BODY_BYTES = 256 * 1024;

/** The controller's API: what `rtvoice`, the live page and Prometheus ask. All but the probes need the token. */
export class ControllerApi {
  readonly #deps: ApiDeps;
  readonly #server: Server;

  constructor(deps: ApiDeps) {
    this.#deps = deps;
    this.#server = createServer(
      { headersTimeout: 5_000, requestTimeout: 10_000, maxHeaderSize: 8 * 1024 },
      (request, response) => {
        void this.#serve(request, response);
      },
    );
    this.#server.maxConnections = 100;
  }

  /** Resolves to the port. */
  async listen(port: number, address = '127.0.0.1'): Promise<number> {
    this.#server.listen(port, address);
    await once(this.#server, 'listening');
    const bound = this.#server.address();
    return bound !== null && typeof bound === 'object' ? bound.port : port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', 'http://controller');
      if (url.pathname === '/livez') return send(response, 200, { live: true });
      if (url.pathname === '/readyz')
        return send(response, this.#deps.ready() ? 200 : 503, { ready: this.#deps.ready() });
      if (!authorized(request.headers.authorization, this.#deps.token)) throw API_UNAUTHORIZED.with();
      if (url.pathname === '/metrics') return await this.#metrics(response);
      const { status, body } = await this.#route(request, url);
      send(response, status, body);
    } catch (error) {
      this.#fail(response, error);
    }
  }

  async #metrics(response: ServerResponse): Promise<void> {
    const { registry } = this.#deps;
    const text = await registry.metrics();
    response.writeHead(200, { 'content-type': registry.contentType }).end(text);
  }

  async #route(request: IncomingMessage, url: URL): Promise<ApiAnswer> {
    for (const { method, path, handle } of this.#deps.routes) {
      const match = path.exec(url.pathname);
      if (!match || method !== request.method) continue;
      return handle(match, { body: await readBody(request), query: url.searchParams });
    }
    throw ROUTE_UNKNOWN.with(`${request.method} ${url.pathname}`);
  }

  #fail(response: ServerResponse, error: unknown): void {
    if (error instanceof RtvoiceError) {
      send(response, error.status, { error: error.toJSON() });
      return;
    }
    this.#deps.log.error({ err: error }, 'a request to the controller failed');
    send(response, 500, { error: { code: 'ERR_INTERNAL', message: 'the controller failed', remedy: 'See its log.' } });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

function authorized(header: string | undefined, token: string | undefined): boolean {
  if (token === undefined) return false;
  const given = Buffer.from(header ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw REQUEST_INVALID.with(`the body is above ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
