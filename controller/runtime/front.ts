import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type PublicRoute, parsePublicPath } from '../../contract/urls.ts';
import type { Log } from '../../platform/log.ts';
import { FRONT_LIMITS, type FrontLimits } from './front_limits.ts';
import { forwardRequest } from './front_request.ts';
import { openTunnel } from './front_tunnel.ts';
import type { Backend } from './front_workers.ts';

export interface FrontOptions {
  /** Workers to try for a route, best first. */
  readonly candidates: (route: PublicRoute) => Backend[];
  readonly log: Log;
  readonly limits?: Partial<FrontLimits>;
}

const REFUSED_LOG_PERIOD_MS = 1_000;

/** The way in of local mode: takes a call's traffic to the worker its path names, and to another when that one is gone. */
export class Front {
  readonly #server: Server;
  readonly #options: FrontOptions;
  readonly #limits: FrontLimits;
  readonly #tunnels = new Set<Duplex>();
  #refused = 0;
  #refusedTimer: NodeJS.Timeout | undefined;

  constructor(options: FrontOptions) {
    this.#options = options;
    this.#limits = { ...FRONT_LIMITS, ...options.limits };
    const { maxHeadBytes, headTimeoutMs, requestTimeoutMs, maxConnections } = this.#limits;
    this.#server = createServer(
      {
        maxHeaderSize: maxHeadBytes,
        headersTimeout: headTimeoutMs,
        requestTimeout: requestTimeoutMs,
        connectionsCheckingInterval: Math.min(1_000, headTimeoutMs),
        noDelay: true,
      },
      (incoming, outgoing) => void this.#request(incoming, outgoing),
    );
    this.#server.maxConnections = maxConnections;
    this.#server.on('upgrade', (incoming, socket, head) => void this.#upgrade(incoming, socket, head));
    this.#server.on('drop', () => this.#countRefused());
  }

  /** One line for many: a flood of connections must not become a flood of log lines. */
  #countRefused(): void {
    this.#refused++;
    this.#refusedTimer ??= setTimeout(() => {
      this.#options.log.warn({ refused: this.#refused }, 'connections refused: the front is full');
      this.#refused = 0;
      this.#refusedTimer = undefined;
    }, REFUSED_LOG_PERIOD_MS).unref();
  }

  get tunnels(): number {
    return this.#tunnels.size;
  }

  /** Resolves to the port. */
  async listen(port: number): Promise<number> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return address !== null && typeof address === 'object' ? address.port : port;
  }

  /** Takes no new connections and resolves once the last tunnel has ended by itself. */
  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeIdleConnections();
    await Promise.all([...this.#tunnels].map((tunnel) => once(tunnel, 'close')));
  }

  async #request(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const route = routeOf(incoming);
    if (!route) return void outgoing.writeHead(404).end();
    try {
      await forwardRequest(incoming, outgoing, this.#options.candidates(route), this.#limits);
    } catch (error) {
      // The client went away, or the worker died within its answer: the bytes already sent cannot be taken back.
      this.#options.log.debug({ route: route.kind, err: error }, 'a request was cut short');
      outgoing.destroy();
    }
  }

  async #upgrade(incoming: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    client.on('error', () => client.destroy());
    const route = routeOf(incoming);
    if (!route) return void client.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    this.#tunnels.add(client);
    client.once('close', () => this.#tunnels.delete(client));
    await openTunnel(incoming, client, head, this.#options.candidates(route), this.#limits);
  }
}

function routeOf(incoming: IncomingMessage): PublicRoute | undefined {
  return parsePublicPath((incoming.url ?? '').split('?', 1)[0] ?? '');
}
