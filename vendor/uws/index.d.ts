/** The part of uWebSockets.js that rtvoice uses, written against v20.51; newer versions only add to it. */
// A namespace, since the binding is a CommonJS module whose exports object is the default import.
declare namespace uWS {
  type RecognizedString = string | ArrayBuffer | Uint8Array;

  interface HttpResponse {
    writeStatus(status: RecognizedString): HttpResponse;
    writeHeader(key: RecognizedString, value: RecognizedString): HttpResponse;
    write(chunk: RecognizedString): boolean;
    end(body?: RecognizedString, closeConnection?: boolean): HttpResponse;
    close(): HttpResponse;
    onAborted(handler: () => void): HttpResponse;
    onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): HttpResponse;
    cork(callback: () => void): HttpResponse;
    getRemoteAddressAsText(): ArrayBuffer;
    upgrade<UserData>(
      userData: UserData,
      secWebSocketKey: RecognizedString,
      secWebSocketProtocol: RecognizedString,
      secWebSocketExtensions: RecognizedString,
      context: us_socket_context_t,
    ): void;
  }

  /** Valid only while the handler that received it runs: copy what is needed before the first await. */
  interface HttpRequest {
    getHeader(lowerCaseKey: RecognizedString): string;
    getParameter(index: number): string | undefined;
    getUrl(): string;
    getMethod(): string;
    getQuery(): string | undefined;
    getQuery(key: string): string | undefined;
    forEach(callback: (key: string, value: string) => void): void;
    setYield(yielded: boolean): HttpRequest;
  }

  interface WebSocket<UserData> {
    /** 1 sent, 0 queued behind backpressure, 2 dropped because of the backpressure limit. */
    send(message: RecognizedString, isBinary?: boolean, compress?: boolean): number;
    getBufferedAmount(): number;
    end(code?: number, shortMessage?: RecognizedString): void;
    close(): void;
    ping(message?: RecognizedString): number;
    cork(callback: () => void): WebSocket<UserData>;
    getRemoteAddressAsText(): ArrayBuffer;
    getUserData(): UserData;
  }

  interface WebSocketBehavior<UserData> {
    maxPayloadLength?: number;
    /** Seconds; only 0 or 8 to 960, other values abort the process. */
    idleTimeout?: number;
    /** Minutes; only 0 or 1 to 239, other values abort the process. */
    maxLifetime?: number;
    maxBackpressure?: number;
    closeOnBackpressureLimit?: boolean;
    sendPingsAutomatically?: boolean;
    compression?: number;
    upgrade?: (res: HttpResponse, req: HttpRequest, context: us_socket_context_t) => void | Promise<void>;
    open?: (ws: WebSocket<UserData>) => void;
    message?: (ws: WebSocket<UserData>, message: ArrayBuffer, isBinary: boolean) => void;
    dropped?: (ws: WebSocket<UserData>, message: ArrayBuffer, isBinary: boolean) => void;
    drain?: (ws: WebSocket<UserData>) => void;
    close?: (ws: WebSocket<UserData>, code: number, message: ArrayBuffer) => void;
    ping?: (ws: WebSocket<UserData>, message: ArrayBuffer) => void;
    pong?: (ws: WebSocket<UserData>, message: ArrayBuffer) => void;
  }

  type RouteHandler = (res: HttpResponse, req: HttpRequest) => void | Promise<void>;

  interface TemplatedApp {
    listen(host: RecognizedString, port: number, cb: (listenSocket: us_listen_socket | false) => void): TemplatedApp;
    listen(
      host: RecognizedString,
      port: number,
      options: number,
      cb: (listenSocket: us_listen_socket | false) => void,
    ): TemplatedApp;
    /** Called with 1 when a TCP connection opens and -1 when it closes; one that became a WebSocket does not report its close. */
    filter(handler: (res: HttpResponse, count: number) => void): TemplatedApp;
    get(pattern: string, handler: RouteHandler): TemplatedApp;
    post(pattern: string, handler: RouteHandler): TemplatedApp;
    options(pattern: string, handler: RouteHandler): TemplatedApp;
    any(pattern: string, handler: RouteHandler): TemplatedApp;
    ws<UserData>(pattern: string, behavior: WebSocketBehavior<UserData>): TemplatedApp;
    close(): TemplatedApp;
  }

  interface us_socket_context_t {
    readonly __socketContext: never;
  }
  interface us_listen_socket {
    readonly __listenSocket: never;
  }

  interface AppOptions {
    key_file_name?: string;
    cert_file_name?: string;
  }

  function App(options?: AppOptions): TemplatedApp;
  function SSLApp(options: AppOptions): TemplatedApp;
  function us_listen_socket_close(socket: us_listen_socket): void;
  function us_socket_local_port(socket: us_listen_socket): number;
  /** `silent`: answers carry no `uWebSockets` header. */
  function _cfg(option: 'silent'): void;
  const DISABLED: number;
  const LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}
export = uWS;
