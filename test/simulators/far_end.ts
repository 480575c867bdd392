import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { CallAutomationClient, type CallConnection } from '@azure/communication-call-automation';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Azure } from '../../simulators/azure.ts';

export interface CallbackSeen {
  type: string;
  data: Record<string, unknown>;
  id: string;
  authorization: string | undefined;
  /** Events in the same array. */
  together: number;
  status: number;
}

export interface RingSeen {
  headers: IncomingMessage['headers'];
  events: Record<string, unknown>[];
}

/** One media socket, as the test sees it. */
export interface SocketSeen {
  socket: WebSocket;
  headers: IncomingMessage['headers'];
  messages: { kind: string; [name: string]: unknown }[];
  closeCode: number | undefined;
  pings: number;
}

export interface FarEndOptions {
  /** Status for the n-th notification, from 1. */
  ringStatus?: (attempt: number) => number;
  callbackStatus?: (type: string, attempt: number) => number;
  /** HTTP status that refuses the n-th upgrade, from 1. */
  refuseUpgrade?: (attempt: number) => number | undefined;
  rate?: 16_000 | 24_000;
  answerAlone?: boolean;
  onMessage?: (seen: SocketSeen, message: SocketSeen['messages'][number]) => void;
}

/** A test that failed in its middle leaves its far end here; its listener would keep the whole file waiting. */
const open = new Set<FarEnd>();
after(() => Promise.all([...open].map((farEnd) => farEnd.stop())));

/** A bare worker of the tests' own: answers rings through the real SDK and keeps what it is sent. */
export class FarEnd {
  readonly rings: RingSeen[] = [];
  readonly handshakes: string[] = [];
  readonly callbacks: CallbackSeen[] = [];
  readonly sockets: SocketSeen[] = [];
  readonly connections: CallConnection[] = [];
  readonly client: CallAutomationClient;
  readonly options: FarEndOptions;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  #upgrades = 0;

  private constructor(azure: Azure, options: FarEndOptions) {
    this.options = options;
    this.client = sdkClient(azure);
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error) => response.writeHead(500).end(String(error)));
    });
    this.#server.on('upgrade', (request, socket, head) => {
      const refused = options.refuseUpgrade?.(++this.#upgrades);
      if (refused !== undefined) return socket.end(`HTTP/1.1 ${refused} Refused\r\nconnection: close\r\n\r\n`);
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#accept(webSocket, request));
    });
  }

  static async start(azure: Azure, options: FarEndOptions = {}): Promise<FarEnd> {
    const farEnd = new FarEnd(azure, options);
    open.add(farEnd);
    farEnd.#server.listen(0, '127.0.0.1');
    await once(farEnd.#server, 'listening');
    return farEnd;
  }

  get base(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get ringUrl(): string {
    return `http://${this.base}/ring`;
  }

  types(): string[] {
    return this.callbacks.map(({ type }) => type);
  }

  async answer(context: string): Promise<CallConnection> {
    const result = await this.client.answerCall(context, `http://${this.base}/callbacks`, {
      operationContext: 'ref',
      mediaStreamingOptions: {
        transportType: 'websocket',
        transportUrl: `ws://${this.base}/media`,
        contentType: 'audio',
        audioChannelType: 'mixed',
        startMediaStreaming: true,
        enableBidirectional: true,
        enableDtmfTones: true,
        audioFormat: this.options.rate === 24_000 ? 'pcm24KMono' : 'pcm16KMono',
      },
    });
    this.connections.push(result.callConnection);
    return result.callConnection;
  }

  async stop(): Promise<void> {
    open.delete(this);
    for (const { socket } of this.sockets) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'OPTIONS') {
      this.handshakes.push('cloudEvents');
      response.writeHead(200, { 'webhook-allowed-origin': String(request.headers['webhook-request-origin']) }).end();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    const events = (Array.isArray(body) ? body : [body]) as Record<string, unknown>[];
    if (request.url === '/ring') return this.#ring(request, response, events);
    const status = this.#callback(request, events);
    response.writeHead(status).end();
  }

  async #ring(request: IncomingMessage, response: ServerResponse, events: Record<string, unknown>[]): Promise<void> {
    if (request.headers['aeg-event-type'] === 'SubscriptionValidation') {
      this.handshakes.push('eventGrid');
      const { validationCode } = (events[0]?.data ?? {}) as { validationCode?: string };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ validationResponse: validationCode }));
      return;
    }
    this.rings.push({ headers: request.headers, events });
    const status = this.options.ringStatus?.(this.rings.length) ?? 200;
    response.writeHead(status).end();
    if (status >= 300 || this.options.answerAlone === false) return;
    for (const event of events) {
      await this.answer((event.data as { incomingCallContext: string }).incomingCallContext).catch(() => undefined);
    }
  }

  #callback(request: IncomingMessage, events: Record<string, unknown>[]): number {
    let answer = 200;
    for (const event of events) {
      const type = String(event.type).replace('Microsoft.Communication.', '');
      const attempt = this.callbacks.filter((seen) => seen.id === event.id).length + 1;
      const status = this.options.callbackStatus?.(type, attempt) ?? 200;
      if (status !== 200) answer = status;
      this.callbacks.push({
        ...{ type, id: String(event.id), data: event.data as Record<string, unknown> },
        ...{ authorization: request.headers.authorization, together: events.length, status },
      });
    }
    return answer;
  }

  #accept(socket: WebSocket, request: IncomingMessage): void {
    const seen: SocketSeen = { socket, headers: request.headers, messages: [], closeCode: undefined, pings: 0 };
    this.sockets.push(seen);
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as SocketSeen['messages'][number];
      seen.messages.push(message);
      this.options.onMessage?.(seen, message);
    });
    socket.on('ping', () => {
      seen.pings += 1;
    });
    socket.on('close', (code) => {
      seen.closeCode = code;
    });
  }
}

export function sdkClient(azure: Azure, accessKey = azure.acs.accessKey): CallAutomationClient {
  return new CallAutomationClient(`endpoint=${azure.acs.url}/;accesskey=${accessKey}`);
}

/** Lets this process trust the simulators, as NODE_EXTRA_CA_CERTS does for one that is started with it. */
export function trust(azure: Azure): void {
  const local = readFileSync(azure.env.NODE_EXTRA_CA_CERTS ?? '', 'utf8');
  setDefaultCACertificates([...getCACertificates('default'), local]);
}

export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 20_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A 440 Hz tone. */
export function tone(ms: number, rate = 16_000): Int16Array {
  return Int16Array.from({ length: (rate * ms) / 1_000 }, (_, n) => 8_000 * Math.sin((2 * Math.PI * 440 * n) / rate));
}

/** One message of outbound audio for each 20 ms. */
export function audioMessages(pcm: Int16Array, rate = 16_000): string[] {
  const size = rate / 50;
  return Array.from({ length: Math.ceil(pcm.length / size) }, (_, n) => {
    const part = pcm.slice(n * size, (n + 1) * size);
    return JSON.stringify({ kind: 'AudioData', audioData: { data: Buffer.from(part.buffer).toString('base64') } });
  });
}
