import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { authenticate, type VerifyToken } from './auth.ts';
import { badRequest, CosmosHttpError, throttled, tooLarge } from './http_error.ts';
import { type Response, route } from './routes.ts';
import { type ContainerDefinition, CosmosStore, type Document } from './store.ts';

/** Trouble on demand; changed at any time, it holds for requests that come from then on. */
export interface CosmosFaults {
  /** So many requests for documents get 429. */
  throttle: number;
  /** What those answers name as the time to wait. */
  retryAfterMs: number;
  /** Every answer comes this much later. */
  delayMs: number;
  /** Connections are cut as they come in. */
  down: boolean;
  /** Requests are taken in and not answered until this is over; they are applied then. */
  frozen: boolean;
  /** So many writes of documents are applied, then the connection is cut before the answer. */
  replyLost: number;
}

export interface CosmosSimulator {
  readonly endpoint: string;
  readonly port: number;
  readonly faults: CosmosFaults;
  /** Live documents, system properties included, in the order of their creation. */
  documents(database: string, container: string): Document[];
  /** Requests since the start by method and kind of resource, for example `POST docs`. */
  readonly requests: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

export interface CosmosSimulatorOptions {
  tls: { key: string; cert: string };
  /** Base64, as the portal shows it. */
  masterKey: string;
  /** Without it no Entra token is accepted. */
  verifyToken?: VerifyToken;
  /** Documents survive a restart with the same file. */
  dataFile?: string;
  /** What the management plane has set up already: databases with their containers. */
  provision?: Readonly<Record<string, readonly ContainerDefinition[]>>;
  /** Host name in the certificate that clients use; default 127.0.0.1. */
  host?: string;
  port?: number;
  /** Address to listen on; default loopback. */
  bindAddress?: string;
  nowMs?: () => number;
}

const FROZEN_POLL_MS = 10;
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** An account of Cosmos DB for NoSQL on one loopback port, as `@azure/cosmos` speaks to it: one region, one physical partition. */
export async function startCosmosSimulator(options: CosmosSimulatorOptions): Promise<CosmosSimulator> {
  const store = new CosmosStore({ dataFile: options.dataFile, nowMs: options.nowMs ?? Date.now });
  provision(store, options.provision ?? {});
  const faults: CosmosFaults = { throttle: 0, retryAfterMs: 20, delayMs: 0, down: false, frozen: false, replyLost: 0 };
  const requests = new Map<string, number>();
  const server = createServer({ ...options.tls, minVersion: 'TLSv1.2' }, (request, response) => {
    handle({ store, faults, requests, options }, request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    if (faults.down) socket.destroy();
  });
  server.listen(options.port ?? 0, options.bindAddress ?? '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the simulator has no port');
  return {
    endpoint: `https://${options.host ?? '127.0.0.1'}:${address.port}/`,
    port: address.port,
    faults,
    requests,
    documents: (database, container) => store.documents(store.container(database, container)),
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      store.close();
    },
  };
}

interface Account {
  store: CosmosStore;
  faults: CosmosFaults;
  requests: Map<string, number>;
  options: CosmosSimulatorOptions;
}

async function handle(account: Account, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { store, faults, requests, options } = account;
  if (faults.down) return void request.socket.destroy();
  const path = new URL(request.url ?? '/', 'https://account').pathname;
  const segments = path.split('/').filter(Boolean).map(decodeURIComponent);
  const forDocuments = segments[4] === 'docs';
  const body = await readBody(request);
  count(requests, `${request.method} ${segments[(segments.length - 1) & ~1] ?? 'account'}`);
  if (faults.delayMs > 0) await delay(faults.delayMs);
  while (faults.frozen && request.socket.writable) await delay(FROZEN_POLL_MS);
  let answer: Response;
  try {
    const caller = await authenticate(request, segments, options);
    if (forDocuments && faults.throttle > 0) {
      faults.throttle -= 1;
      throw throttled(faults.retryAfterMs);
    }
    const endpoint = `https://${request.headers.host ?? 'localhost'}/`;
    answer = route(store, {
      method: request.method ?? '',
      segments,
      headers: request.headers,
      body: parse(body),
      caller,
      endpoint,
    });
  } catch (error) {
    if (!(error instanceof CosmosHttpError)) throw error;
    answer = {
      status: error.status,
      body: { code: error.code, message: error.message },
      headers: { ...error.headers },
    };
  }
  if (isWrite(request) && forDocuments && answer.status < 300 && faults.replyLost > 0) {
    faults.replyLost -= 1;
    request.socket.destroy();
    return;
  }
  send(response, answer);
}

function send(response: ServerResponse, { status, body, headers = {} }: Response): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'x-ms-request-charge': '1',
    'x-ms-activity-id': randomUUID(),
    'x-ms-session-token': '0:-1#1',
    'x-ms-serviceversion': 'version=2.14.0.0',
    ...headers,
  });
  response.end(text);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Reading on keeps the connection in step; what is too long is refused when it is parsed.
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return length > MAX_BODY_BYTES ? Buffer.alloc(MAX_BODY_BYTES + 1) : Buffer.concat(chunks);
}

function parse(body: Buffer): unknown {
  if (body.length > MAX_BODY_BYTES) throw tooLarge('Request size is too large.');
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw badRequest('The input content is invalid because it is not JSON.');
  }
}

function isWrite(request: IncomingMessage): boolean {
  return request.method !== 'GET' && request.headers['x-ms-documentdb-isquery'] === undefined;
}

function count(requests: Map<string, number>, name: string): void {
  requests.set(name, (requests.get(name) ?? 0) + 1);
}

function provision(store: CosmosStore, wanted: NonNullable<CosmosSimulatorOptions['provision']>): void {
  for (const [db, definitions] of Object.entries(wanted)) {
    if (!store.databaseIds().includes(db)) store.createDatabase(db);
    const { containers } = store.database(db);
    for (const definition of definitions) if (!containers.has(definition.id)) store.createContainer(db, definition);
  }
}
