import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { type Agent, request } from 'node:https';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { EDGE_HOST, type Edge } from './edge.ts';

const LIMIT_MS = 20_000;

/** What a worker says of the request it received. */
export interface Seen {
  readonly address: string;
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Undefined when no worker has answered. */
  readonly seen: Seen | undefined;
  readonly durationMs: number;
}

export interface Ask {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
}

const tls = (edge: Edge): ConnectionOptions => ({
  host: '127.0.0.1',
  port: edge.port,
  servername: EDGE_HOST,
  ca: edge.ca,
});

/** Without `body` it is a GET. */
export async function ask(edge: Edge, path: string, options: Ask = {}): Promise<Answer> {
  const { method = options.body === undefined ? 'GET' : 'POST', body, headers, agent = false } = options;
  const started = performance.now();
  const outgoing = request({
    ...tls(edge),
    path,
    method,
    agent,
    headers: { host: EDGE_HOST, ...headers },
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  outgoing.end(body);
  const [incoming] = await once(outgoing, 'response');
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
  const json = incoming.headers['content-type'] === 'application/json';
  return {
    status: incoming.statusCode,
    headers: incoming.headers,
    text,
    seen: json ? JSON.parse(text) : undefined,
    durationMs: performance.now() - started,
  };
}

export const post = (edge: Edge, path: string, body = '[]'): Promise<Answer> => ask(edge, path, { body });

/** Bytes as they are, and all that comes back until the other side ends. */
export async function raw(edge: Edge, text: string, options: ConnectionOptions = {}): Promise<string> {
  const socket = await open(edge, options);
  socket.write(text);
  return drain(socket);
}

export async function open(edge: Edge, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ ...tls(edge), ...options });
  await once(socket, 'secureConnect', { signal: AbortSignal.timeout(LIMIT_MS) });
  return socket;
}

export async function drain(socket: TLSSocket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.on('error', () => socket.destroy());
  if (!socket.closed) await once(socket, 'close', { signal: AbortSignal.timeout(LIMIT_MS) });
  return text;
}

/** The media socket of a call, open, and where it has arrived. */
export class Media {
  readonly socket: WebSocket;
  /** Address of the worker and the URL that it saw. */
  readonly greeting: string;
  readonly durationMs: number;

  private constructor(socket: WebSocket, greeting: string, durationMs: number) {
    this.socket = socket;
    this.greeting = greeting;
    this.durationMs = durationMs;
  }

  static async dial(edge: Edge, path: string): Promise<Media> {
    const started = performance.now();
    const createConnection = () => connect(tls(edge));
    const socket = new WebSocket(`wss://${EDGE_HOST}:${edge.port}${path}`, { createConnection });
    const [greeting] = await once(socket, 'message', { signal: AbortSignal.timeout(LIMIT_MS) });
    return new Media(socket, String(greeting), performance.now() - started);
  }

  get address(): string {
    return this.greeting.split(' ')[0] ?? '';
  }

  async say(text: string): Promise<string> {
    const answer = once(this.socket, 'message', { signal: AbortSignal.timeout(LIMIT_MS) });
    this.socket.send(text);
    return String((await answer)[0]);
  }

  async close(): Promise<void> {
    this.socket.close();
    if (this.socket.readyState !== WebSocket.CLOSED) await once(this.socket, 'close');
  }
}
