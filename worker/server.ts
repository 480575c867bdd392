import './http/header_limit.ts';
import uWS, { type HttpRequest, type HttpResponse, type TemplatedApp, type WebSocket } from 'uWebSockets.js';
import { STATUS_CODES } from 'node:http';
import type { Clock } from '../platform/clock.ts';
import { defineError } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import type { Registry } from '../platform/metrics.ts';
import type { Security } from '../security/security.ts';
import { createWorkerHealth, type WorkerHealth } from './health.ts';
import { createSourceCaps } from './http/caps.ts';
import type { AnswerBody, UpgradeExchange } from './http/exchange.ts';
import { checkSocketLimits, DEFAULT_SOCKET_LIMITS, type SocketLimits } from './http/socket_limits.ts';
import type { MediaSocket } from './media/ports.ts';
import type { CallHost, MediaEnd } from './ports.ts';
import { createRelay } from './relay/relay.ts';
import type { RouteDeps, Routes } from './routes/deps.ts';
import type { HealthProviders } from './routes/health_checks.ts';
import { createHttpMetrics, type HttpMetrics } from './routes/http_metrics.ts';
import { createInternalRoutes } from './routes/internal.ts';
import { createPublicRoutes } from './routes/public.ts';

export const LISTEN_FAILED = defineError('ERR_LISTEN_FAILED', {
  status: 500,
  message: 'a listener cannot be opened',
  remedy: 'Free the address and port that the message names, or configure others.',
});

export interface ServerConfig {
  namespace: string;
  pool: string;
  bindAddress: string;
  /** 0 takes a free port. */
  publicPort: number;
  internalPort: number;
  limits?: Partial<SocketLimits>;
}

/** A worker's two listeners. */
export interface WorkerServer {
  listen(): Promise<{ publicPort: number; internalPort: number }>;
  /** What `/readyz` says; not ready at first. */
  setReady(ready: boolean): void;
  /** Media sockets that end here while their call is elsewhere. */
  relayedSockets(): number;
  /** Safe to repeat. In order: public listener, requests under way, relayed sockets, media sockets, internal listener. */
  close(): Promise<void>;
}

/** How long requests under way may take to end. */
const CLOSE_WAIT_MS = 2_000;

export function createServer(options: {
  config: ServerConfig;
  host: CallHost;
  security: Security;
  registry: Registry;
  log: Log;
  clock: Clock;
  healthProviders: HealthProviders;
  /** Made here when absent. */
  health?: WorkerHealth;
}): WorkerServer {
  const { config, host, security, registry, log, clock, healthProviders } = options;
  const limits = checkSocketLimits({ ...DEFAULT_SOCKET_LIMITS, ...config.limits });
  const health = options.health ?? createWorkerHealth({ registry, clock });
  const metrics = createHttpMetrics(registry);
  const { authorization } = security.internalKeys;
  const relay = createRelay({ host, authorization, ownerAnswerMs: limits.ownerAnswerMs, registry, clock, log });
  let ready = false;
  let closing: Promise<void> | undefined;
  const deps: RouteDeps = {
    pool: { namespace: config.namespace, pool: config.pool },
    host,
    security,
    relay,
    health,
    healthProviders,
    registry,
    metrics,
    clock,
    log,
    pending: createSourceCaps({ perSource: limits.maxPendingUpgradesPerSource, total: limits.maxPendingUpgrades }),
    bodyLimits: { maxBytes: limits.maxBodyBytes, timeoutMs: limits.bodyTimeoutMs },
    isReady: () => ready,
  };
  uWS._cfg('silent');
  const listener = (routes: Routes, binary: boolean) => new Listener({ routes, binary, limits, metrics, log, clock });
  // ACS speaks text frames; the relay passes bytes on as they are.
  const external = listener(createPublicRoutes(deps), false);
  const internal = listener(createInternalRoutes(deps), true);
  return {
    async listen() {
      const internalPort = internal.listen(config.bindAddress, config.internalPort);
      const publicPort = external.listen(config.bindAddress, config.publicPort);
      log.info({ publicPort, internalPort }, 'listening');
      return { publicPort, internalPort };
    },
    setReady(value) {
      ready = value;
    },
    relayedSockets: () => relay.liveSockets(),
    close() {
      closing ??= closeInOrder();
      return closing;
    },
  };

  async function closeInOrder(): Promise<void> {
    ready = false;
    external.stopListening();
    await external.quiet(CLOSE_WAIT_MS);
    await relay.close();
    external.close();
    internal.stopListening();
    await internal.quiet(CLOSE_WAIT_MS);
    internal.close();
    if (!options.health) health.stop();
  }
}

interface ListenerOptions {
  routes: Routes;
  /** Kind of the WebSocket frames that are sent. */
  binary: boolean;
  limits: SocketLimits;
  metrics: HttpMetrics;
  log: Log;
  clock: Clock;
}

interface Session {
  open: (socket: MediaSocket) => MediaEnd | undefined;
  socket: UwsMediaSocket | undefined;
  end: MediaEnd | undefined;
}

/** The library copies these fields onto the socket object: a field `end` or `send` would replace its method. */
interface SocketData {
  session: Session;
}

class Listener {
  readonly #app: TemplatedApp;
  readonly #options: ListenerOptions;
  readonly #sockets = new Map<WebSocket<SocketData>, Session>();
  #handle: Parameters<typeof uWS.us_listen_socket_close>[0] | undefined;
  #pinger: { cancel(): void } | undefined;
  #connections = 0;
  #requests = 0;
  #whenQuiet: (() => void) | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    const { limits, routes } = options;
    this.#app = uWS.App();
    const countConnection = (res: HttpResponse, count: number): void => {
      this.#connections = Math.max(0, this.#connections + count);
      if (count > 0 && this.#connections > limits.maxConnections) res.close();
    };
    this.#app.filter(countConnection);
    this.#app.ws<SocketData>('/*', {
      maxPayloadLength: limits.maxMessageBytes,
      maxBackpressure: limits.maxBufferedBytes,
      closeOnBackpressureLimit: false,
      idleTimeout: limits.idleTimeoutSeconds,
      maxLifetime: limits.maxLifetimeMinutes,
      sendPingsAutomatically: false,
      compression: uWS.DISABLED,
      upgrade: (res, req, context) => routes.upgrade(this.#exchange(res, req, context)),
      open: (ws) => this.#onOpen(ws),
      message: (ws, message) => this.#guarded(() => this.#sockets.get(ws)?.end?.receive(message)),
      close: (ws, code) => this.#onClose(ws, code),
    });
    this.#app.any('/*', (res, req) => routes.handle(this.#exchange(res, req, undefined)));
  }

  listen(host: string, port: number): number {
    // The callback runs before listen returns. Exclusive: else the kernel would let a second worker share the port.
    this.#app.listen(host, port, uWS.LIBUS_LISTEN_EXCLUSIVE_PORT, (handle) => {
      this.#handle = handle || undefined;
    });
    if (!this.#handle) throw LISTEN_FAILED.with(`${host}:${port}`);
    this.#pinger = this.#options.clock.every(this.#options.limits.pingPeriodMs, () => {
      for (const ws of this.#sockets.keys()) ws.ping();
    });
    return uWS.us_socket_local_port(this.#handle);
  }

  stopListening(): void {
    if (this.#handle) uWS.us_listen_socket_close(this.#handle);
    this.#handle = undefined;
  }

  /** Resolves when no request is under way, or after `waitMs`. */
  quiet(waitMs: number): Promise<void> {
    if (this.#requests === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(waitMs, resolve);
      this.#whenQuiet = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  close(): void {
    this.#pinger?.cancel();
    for (const { socket } of [...this.#sockets.values()]) socket?.end(1001, 'shutdown');
    this.#app.close();
  }

  #exchange(res: HttpResponse, req: HttpRequest, context: UpgradeContext): UwsExchange {
    this.#requests++;
    return new UwsExchange(res, req, context, (upgraded) => {
      this.#requests--;
      if (upgraded) this.#connections = Math.max(0, this.#connections - 1);
      if (this.#requests === 0) this.#whenQuiet?.();
    });
  }

  #onOpen(ws: WebSocket<SocketData>): void {
    const { session } = ws.getUserData();
    const socket = new UwsMediaSocket(ws, this.#options.binary);
    session.socket = socket;
    this.#sockets.set(ws, session);
    this.#guarded(() => {
      session.end = session.open(socket);
    });
    if (!session.end) socket.end(1000, 'call ended');
    // It may have been closed from inside `open`, when nobody could be told yet.
    else if (socket.closedCode !== undefined) this.#guarded(() => session.end?.closed(socket.closedCode ?? 1006));
  }

  #onClose(ws: WebSocket<SocketData>, code: number): void {
    const session = this.#sockets.get(ws);
    this.#sockets.delete(ws);
    session?.socket?.gone(code);
    this.#guarded(() => session?.end?.closed(code));
  }

  /** An exception that left a handler would end the process with all its calls. */
  #guarded(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      this.#options.metrics.faults.inc({ where: 'socket' });
      this.#options.log.error({ err: error }, 'a handler of a media socket failed');
    }
  }
}

/** uWebSockets.js throws on any use of a closed socket; here it is harmless. */
class UwsMediaSocket implements MediaSocket {
  #ws: WebSocket<SocketData> | undefined;
  readonly #binary: boolean;
  closedCode: number | undefined;

  constructor(ws: WebSocket<SocketData>, binary: boolean) {
    this.#ws = ws;
    this.#binary = binary;
  }

  send(message: Uint8Array | string): number {
    return this.#ws ? this.#ws.send(message, this.#binary, false) : 2;
  }

  cork(send: () => void): void {
    this.#ws?.cork(send);
  }

  bufferedBytes(): number {
    return this.#ws?.getBufferedAmount() ?? 0;
  }

  end(code: number, reason: string): void {
    const ws = this.#ws;
    // Forgotten first: the close handler runs inside `end`.
    this.#ws = undefined;
    ws?.end(code, reason.slice(0, 100));
  }

  gone(code: number): void {
    this.#ws = undefined;
    this.closedCode = code;
  }
}

type UpgradeContext = Parameters<HttpResponse['upgrade']>[4] | undefined;

/** A request of uWebSockets.js, whose objects are valid for the handler (request) or until the end or abort (response). */
class UwsExchange implements UpgradeExchange {
  readonly method: string;
  readonly path: string;
  readonly source: string;
  answered: number | undefined;
  readonly #res: HttpResponse;
  readonly #context: UpgradeContext;
  readonly #headers = new Map<string, string>();
  readonly #query: string;
  readonly #onOver: (upgraded: boolean) => void;
  readonly #abortCallbacks: (() => void)[] = [];
  #over = false;
  #aborted = false;
  #bodyPending: boolean;

  constructor(res: HttpResponse, req: HttpRequest, context: UpgradeContext, onOver: (upgraded: boolean) => void) {
    this.#res = res;
    this.#context = context;
    this.#onOver = onOver;
    this.method = req.getMethod().toUpperCase();
    this.path = req.getUrl();
    this.#query = req.getQuery() ?? '';
    req.forEach((key, value) => {
      this.#headers.set(key, value);
    });
    this.source = Buffer.from(res.getRemoteAddressAsText()).toString('latin1');
    this.#bodyPending =
      Number(this.header('content-length') ?? 0) > 0 || this.header('transfer-encoding') !== undefined;
    res.onAborted(() => this.#abort());
  }

  get closed(): boolean {
    return this.#over;
  }

  header(name: string): string | undefined {
    return this.#headers.get(name) || undefined;
  }

  query(name: string): string | undefined {
    return new URLSearchParams(this.#query).get(name) ?? undefined;
  }

  answer(status: number, body: AnswerBody = {}): void {
    if (this.#over) return;
    this.#finish(status);
    const text = this.method === 'HEAD' ? '' : (body.text ?? '');
    this.#res.cork(() => {
      this.#res.writeStatus(`${status} ${STATUS_CODES[status] ?? 'Unknown'}`);
      if (body.contentType) this.#res.writeHeader('Content-Type', body.contentType);
      for (const [name, value] of Object.entries(body.headers ?? {})) this.#res.writeHeader(name, value);
      // What is left of an unread body would be taken for the next request.
      this.#res.end(text, this.#bodyPending);
    });
  }

  accept(open: Session['open']): boolean {
    const context = this.#context;
    if (this.#over || !context) return false;
    this.#finish(101);
    const data: SocketData = { session: { open, socket: undefined, end: undefined } };
    // Never inside `cork`: when the upgraded socket keeps its place in memory, the end of the cork reads it as an HTTP response
    // and may close it (seen on 20.51.4, about one upgrade in five of a fresh process).
    this.#res.upgrade(data, this.header('sec-websocket-key') ?? '', '', '', context);
    return true;
  }

  onAborted(callback: () => void): void {
    if (this.#aborted) callback();
    else if (!this.#over) this.#abortCallbacks.push(callback);
  }

  onData(callback: (chunk: Uint8Array, isLast: boolean) => void): void {
    if (this.#over) return;
    this.#res.onData((chunk, isLast) => {
      if (isLast) this.#bodyPending = false;
      if (!this.#over) callback(new Uint8Array(chunk), isLast);
    });
  }

  #finish(status: number): void {
    this.#over = true;
    this.answered = status;
    this.#abortCallbacks.length = 0;
    this.#onOver(status === 101);
  }

  #abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#aborted = true;
    this.#onOver(false);
    for (const callback of this.#abortCallbacks) callback();
  }
}
