import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { answerJson, type Place, readBody, type TlsFiles } from '../http.ts';
import type { VerifyToken } from '../servicebus/claims.ts';
import { PubSubHub, SUBPROTOCOL } from './hub.ts';
import { PubSubTokens } from './tokens.ts';

export interface WebPubSubFaults {
  /** So many REST requests get 429. */
  throttle: number;
  /** Connections are cut as they come in. */
  down: boolean;
}

export interface WebPubSubSimulator {
  readonly endpoint: string;
  readonly connectionString: string;
  readonly faults: WebPubSubFaults;
  /** Made with its first use, as the service does. */
  hub(name: string): PubSubHub;
  stop(): Promise<void>;
}

export interface WebPubSubOptions {
  tls: TlsFiles;
  port?: number;
  place?: Place;
  accessKey?: string;
  verifyToken?: VerifyToken;
}

const MAX_MESSAGE_BYTES = 1024 * 1024;

/** One resource of Web PubSub, as `@azure/web-pubsub` and its clients' WebSockets speak to it. */
export async function startWebPubSub(options: WebPubSubOptions): Promise<WebPubSubSimulator> {
  const { accessKey = 'a simulated access key of web pubsub', tls } = options;
  const { bindAddress = '127.0.0.1', host = 'localhost' } = options.place ?? {};
  const resource: Resource = {
    endpoint: '',
    tokens: new PubSubTokens(accessKey, options.verifyToken),
    faults: { throttle: 0, down: false },
    hubs: new Map(),
    sockets: new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    }),
  };
  const server = createServer({ ...tls, minVersion: 'TLSv1.2' }, (request, response) => {
    handle(resource, request, response).catch(() => response.destroy());
  });
  server.on('connection', (socket) => {
    if (resource.faults.down) socket.destroy();
  });
  server.on('upgrade', (request, socket, head) => {
    upgrade(resource, request, socket, head).catch(() => socket.destroy());
  });
  server.listen(options.port ?? 0, bindAddress);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  resource.endpoint = `https://${host}:${port}`;
  return {
    endpoint: resource.endpoint,
    connectionString: `Endpoint=https://${host};AccessKey=${accessKey};Port=${port};Version=1.0;`,
    faults: resource.faults,
    hub: (name) => hubOf(resource, name),
    stop: async () => {
      for (const socket of resource.sockets.clients) socket.terminate();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Resource {
  endpoint: string;
  readonly tokens: PubSubTokens;
  readonly faults: WebPubSubFaults;
  readonly hubs: Map<string, PubSubHub>;
  readonly sockets: WebSocketServer;
}

function hubOf({ hubs }: Resource, name: string): PubSubHub {
  const hub = hubs.get(name) ?? new PubSubHub();
  hubs.set(name, hub);
  return hub;
}

/** `/api/hubs/<hub>[/groups/<group>]/:<action>`. */
const ROUTE = /^\/api\/hubs\/([^/]+)(?:\/groups\/([^/]+))?\/:(send|generateToken)$/;

async function handle(resource: Resource, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', resource.endpoint);
  const body = await readBody(request, MAX_MESSAGE_BYTES);
  const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  if (!(await resource.tokens.mayRequest(token, url.href)))
    return answerJson(response, 401, undefined, { 'www-authenticate': 'Bearer' });
  if (resource.faults.throttle > 0) {
    resource.faults.throttle -= 1;
    return answerJson(response, 429, undefined, { 'retry-after': '0' });
  }
  if (!url.searchParams.has('api-version')) return answerJson(response, 400, { code: 'ApiVersionMissing' });
  const [, hub, group, action] = ROUTE.exec(decodeURIComponent(url.pathname)) ?? [];
  if (hub === undefined || request.method !== 'POST') return answerJson(response, 404, { code: 'NotFound' });
  if (body === undefined) return answerJson(response, 413, { code: 'PayloadTooLarge' });
  if (action === 'generateToken')
    return answerJson(response, 200, { token: await generate(resource, hub, url.searchParams) });
  const json = request.headers['content-type']?.startsWith('application/json');
  hubOf(resource, hub).send(
    group,
    json ? JSON.parse(body.toString('utf8')) : body.toString('utf8'),
    json ? 'json' : 'text',
  );
  answerJson(response, 202);
}

function generate(resource: Resource, hub: string, query: URLSearchParams): Promise<string> {
  const claims = {
    userId: query.get('userId') ?? undefined,
    roles: query.getAll('role'),
    groups: query.getAll('group'),
  };
  return resource.tokens.sign(clientUrl(resource, hub), claims, Number(query.get('minutesToExpire') ?? 60));
}

const clientUrl = ({ endpoint }: Resource, hub: string): string => `${endpoint}/client/hubs/${hub}`;

async function upgrade(resource: Resource, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const url = new URL(request.url ?? '/', resource.endpoint);
  const hub = /^\/client\/hubs\/([^/]+)$/.exec(decodeURIComponent(url.pathname))?.[1];
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const token = url.searchParams.get('access_token') ?? bearer ?? '';
  const claims = hub === undefined ? undefined : await resource.tokens.client(token, clientUrl(resource, hub));
  if (hub === undefined || !claims) {
    socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    return;
  }
  resource.sockets.handleUpgrade(request, socket, head, (client) => hubOf(resource, hub).add(client, claims));
}
