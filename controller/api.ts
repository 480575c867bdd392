import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { parsePool } from '../contract/pool.ts';
import { RtvoiceError } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import type { Registry } from '../platform/metrics.ts';
import { API_UNAUTHORIZED, REQUEST_INVALID, ROUTE_UNKNOWN } from './errors.ts';
import type { PoolManager } from './manager.ts';

export interface ApiDeps {
  readonly manager: PoolManager;
  readonly registry: Registry;
  readonly token: string;
  readonly log: Log;
  readonly ready: () => boolean;
  /** Ends the pools' processes and then this one; answers before it begins. */
  readonly shutdown: (graceMs: number) => void;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

type Handler = (
  match: RegExpExecArray,
  request: { body: string; query: URLSearchParams },
  deps: ApiDeps,
) => Promise<Answer> | Answer;

interface Route {
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly path: RegExp;
  readonly handle: Handler;
}

const MAX_BODY_BYTES = 256 * 1024;
const MAX_REPLICAS = 10_000;
const MAX_SECONDS = 7 * 86_400;

const SCALE = z.strictObject({ replicas: z.int().min(0).max(MAX_REPLICAS) });
const DRAIN = z.strictObject({ deadlineSeconds: z.number().min(0).max(MAX_SECONDS).optional() });
const SHUTDOWN = z.strictObject({ graceSeconds: z.number().min(0).max(3_600).default(5) });

/** All but the probes need the token. */
const ROUTES: readonly Route[] = [
  { method: 'GET', path: /^\/pools$/, handle: (_match, _request, { manager }) => ok({ pools: manager.list() }) },
  {
    method: 'PUT',
    path: /^\/pools$/,
    handle: async (_match, { body }, { manager }) => ok(await manager.apply(parsePool(body))),
  },
  {
    method: 'POST',
    path: /^\/pools\/([a-z0-9-]{1,40})\/scale$/,
    handle: async ([, name = ''], { body }, { manager }) => {
      const { replicas } = parse(SCALE, body);
      await manager.scale(name, replicas);
      return ok({ name, replicas });
    },
  },
  {
    method: 'POST',
    path: /^\/workers\/([a-z0-9-]{1,63})\/drain$/,
    handle: async ([, worker = ''], { body }, { manager }) => {
      const { deadlineSeconds } = parse(DRAIN, body);
      await manager.drain(worker, deadlineSeconds === undefined ? undefined : deadlineSeconds * 1000);
      return { status: 202, body: { worker, draining: true } };
    },
  },
  {
    method: 'GET',
    path: /^\/explain\/scale$/,
    handle: (_match, { query }, { manager }) => ok({ decisions: manager.explain(query.get('pool') ?? undefined) }),
  },
  {
    method: 'POST',
    path: /^\/shutdown$/,
    handle: (_match, { body }, { shutdown }) => {
      const { graceSeconds } = parse(SHUTDOWN, body);
      setImmediate(() => shutdown(graceSeconds * 1000));
      return { status: 202, body: { stopping: true } };
    },
  },
];

/** The controller's API on loopback: what `rtvoice pool`, `rtvoice drain` and the live page ask. */
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
  async listen(port: number): Promise<number> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return address !== null && typeof address === 'object' ? address.port : port;
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

  async #route(request: IncomingMessage, url: URL): Promise<Answer> {
    for (const { method, path, handle } of ROUTES) {
      const match = path.exec(url.pathname);
      if (!match || method !== request.method) continue;
      return handle(match, { body: await readBody(request), query: url.searchParams }, this.#deps);
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

function ok(body: unknown): Answer {
  return { status: 200, body };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

function authorized(header: string | undefined, token: string): boolean {
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

function parse<T>(schema: z.ZodType<T>, body: string): T {
  let value: unknown;
  try {
    value = body === '' ? {} : JSON.parse(body);
  } catch (cause) {
    throw REQUEST_INVALID.with('the body is not JSON', cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw REQUEST_INVALID.with(
    parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; '),
  );
}
