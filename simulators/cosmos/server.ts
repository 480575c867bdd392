import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { authenticate, type VerifyToken } from './auth.ts';
import { charge } from './charge.ts';
import { batchFaults, type CosmosFaults, meetFaults, noFaults } from './faults.ts';
import { badRequest, CosmosHttpError, tooLarge } from './http_error.ts';
import { isWrite, operationOf } from './operation.ts';
import { route } from './routes.ts';
import { type ContainerDefinition, CosmosStore, type Document } from './store.ts';
import { Throughput } from './throughput.ts';
import type { Response } from './wire.ts';

export type { CosmosFaults, InjectedFailure } from './faults.ts';

export interface CosmosSimulator {
  readonly endpoint: string;
  readonly port: number;
  readonly faults: CosmosFaults;
  /** Live documents, system properties included, in the order of their creation. */
  documents(database: string, container: string): Document[];
  /** Requests since the start by method and kind of resource, for example `POST docs`. */
  readonly requests: ReadonlyMap<string, number>;
  /** Request units that were charged and told, by container and operation, for example `transcripts create`. */
  readonly charges: ReadonlyMap<string, number>;
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
  /** Physical partitions of each container; default 1. */
  partitions?: number;
}

const FROZEN_POLL_MS = 10;
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** An account of Cosmos DB for NoSQL on one loopback port, as `@azure/cosmos` speaks to it: one region. */
export async function startCosmosSimulator(options: CosmosSimulatorOptions): Promise<CosmosSimulator> {
  const nowMs = options.nowMs ?? Date.now;
  const store = new CosmosStore({ dataFile: options.dataFile, nowMs, partitions: options.partitions ?? 1 });
  provision(store, options.provision ?? {});
  const faults = noFaults();
  const requests = new Map<string, number>();
  const charges = new Map<string, number>();
  const account = { store, faults, requests, charges, options, throughput: new Throughput(nowMs) };
  const server = createServer({ ...options.tls, minVersion: 'TLSv1.2' }, (request, response) => {
    handle(account, request, response).catch(() => response.destroy());
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
    charges,
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
  charges: Map<string, number>;
  options: CosmosSimulatorOptions;
  throughput: Throughput;
}

async function handle(account: Account, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { faults, requests, charges } = account;
  if (faults.down) return void request.socket.destroy();
  const path = new URL(request.url ?? '/', 'https://account').pathname;
  const segments = path.split('/').filter(Boolean).map(decodeURIComponent);
  const operation = operationOf(request.method ?? '', segments, request.headers);
  const body = await readBody(request);
  add(requests, `${request.method} ${segments[(segments.length - 1) & ~1] ?? 'account'}`, 1);
  if (faults.delayMs > 0) await delay(faults.delayMs);
  while (faults.frozen && request.socket.writable) await delay(FROZEN_POLL_MS);
  const answer = await answered(account, { request, segments, body, operation });
  if (isWrite(operation) && answer.status < 300 && faults.replyLost > 0) {
    faults.replyLost -= 1;
    request.socket.destroy();
    return;
  }
  if (operation) add(charges, `${segments[3]} ${operation}`, answer.charge ?? 0);
  send(response, answer);
}

async function answered(account: Account, { request, segments, body, operation }: Incoming): Promise<Response> {
  const { store, faults, options, throughput } = account;
  try {
    const caller = await authenticate(request, segments, options);
    if (operation) {
      meetFaults(faults, operation);
      throughput.admit(faults.requestUnitsPerSecond);
    }
    const done = route(store, {
      method: request.method ?? '',
      segments,
      headers: request.headers,
      body: parse(body),
      caller,
      endpoint: `https://${request.headers.host ?? 'localhost'}/`,
      beforeOperation: batchFaults(operation === 'batch' || operation === 'bulk' ? faults : noFaults()),
    });
    throughput.spend(done.charge ?? 0);
    return done;
  } catch (error) {
    if (!(error instanceof CosmosHttpError)) throw error;
    const { status, code, message, headers, more } = error;
    const units = operation && status !== 429 && status < 500 ? charge.refused : charge.none;
    throughput.spend(units);
    return { status, body: { code, message, ...more }, headers: { ...headers }, charge: units };
  }
}

interface Incoming {
  request: IncomingMessage;
  segments: string[];
  body: Buffer;
  operation: ReturnType<typeof operationOf>;
}

function send(response: ServerResponse, { status, body, headers = {}, charge: units = 0 }: Response): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'x-ms-request-charge': String(units),
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

function add(figures: Map<string, number>, name: string, value: number): void {
  figures.set(name, (figures.get(name) ?? 0) + value);
}

function provision(store: CosmosStore, wanted: NonNullable<CosmosSimulatorOptions['provision']>): void {
  for (const [db, definitions] of Object.entries(wanted)) {
    if (!store.databaseIds().includes(db)) store.createDatabase(db);
    const { containers } = store.database(db);
    for (const definition of definitions) if (!containers.has(definition.id)) store.createContainer(db, definition);
  }
}
