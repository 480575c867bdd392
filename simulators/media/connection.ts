import { WebSocket } from 'ws';
import { type Clock, sleep, type Timer } from '../../platform/clock.ts';

/** What ACS does when a media socket is lost. The service documents no policy, so a worker must live with each. */
export type MediaRedial =
  /** Nothing, without a word: the worst case. */
  | 'never'
  /** Dials once more, soon; when that fails it reports MediaStreamingFailed. */
  | 'once'
  /** A few tries, each after a longer wait, then MediaStreamingFailed. */
  | 'backOffThenFail';

const REDIAL_DELAYS_MS: Readonly<Record<MediaRedial, readonly number[]>> = {
  never: [],
  once: [250],
  backOffThenFail: [250, 500, 1_000, 2_000, 4_000],
};
const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** A worker that reads nothing: what is due is dropped, as a real-time sender does. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
/** Without a pong for so many pings the socket counts as lost. */
const MAX_MISSED_PONGS = 3;

export interface MediaConnectionListener {
  /** `again`: the socket before it was lost; `asked`: startMediaStreaming. */
  onOpen(cause: 'first' | 'again' | 'asked'): void;
  onMessage(data: Buffer): void;
  /** The socket closed and it was not our doing; 1006 when it broke. */
  onLost(code: number): void;
  /** No try succeeded; `status` is the HTTP status of the last refusal, 0 when there was none. */
  onGaveUp(status: number): void;
}

export interface MediaConnectionOptions {
  url: string;
  /** New for each dial: the token in it is. */
  headers(): Promise<Record<string, string>>;
  redial: MediaRedial;
  ca: readonly string[];
  pingMs: number;
  clock: Clock;
  listener: MediaConnectionListener;
}

/** The client side of one call's media stream, over as many sockets as it takes. */
export class MediaConnection {
  readonly #options: MediaConnectionOptions;
  #socket: WebSocket | undefined;
  #pings: Timer | undefined;
  #generation = 0;
  #stopped = new AbortController();

  constructor(options: MediaConnectionOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Dials, whatever there was before: an older socket is closed once the new one is open. */
  start(cause: 'first' | 'asked'): void {
    this.#stopped.abort();
    this.#stopped = new AbortController();
    void this.#dialUntilOpen([0, ...REDIAL_DELAYS_MS[this.#options.redial]], cause);
  }

  /** False when it was not sent. */
  send(message: string): boolean {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > MAX_BUFFERED_BYTES) return false;
    socket.send(message);
    return true;
  }

  /** As if the network failed between ACS and the worker. */
  drop(): void {
    this.#socket?.terminate();
  }

  stop(): void {
    this.#stopped.abort();
    this.#generation += 1;
    this.#release(1000);
  }

  async #dialUntilOpen(delaysMs: readonly number[], cause: 'first' | 'again' | 'asked'): Promise<void> {
    const generation = ++this.#generation;
    const { signal } = this.#stopped;
    let status = 0;
    for (const delayMs of delaysMs) {
      if (delayMs > 0) await sleep(this.#options.clock, delayMs, signal).catch(() => undefined);
      if (generation !== this.#generation || signal.aborted) return;
      const result = await this.#dial();
      const stale = generation !== this.#generation || signal.aborted;
      if (typeof result !== 'number') {
        if (stale) return result.terminate();
        return this.#adopt(result, cause);
      }
      if (stale) return;
      status = result;
    }
    if (delaysMs.length > 0) this.#options.listener.onGaveUp(status);
  }

  /** An open socket, or the HTTP status that refused it. */
  async #dial(): Promise<WebSocket | number> {
    const { url, ca } = this.#options;
    const headers = await this.#options.headers();
    return new Promise((resolve) => {
      const socket = new WebSocket(url, {
        headers,
        ca: [...ca],
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        perMessageDeflate: false,
        maxPayload: MAX_MESSAGE_BYTES,
      });
      socket.once('open', () => resolve(socket));
      socket.once('unexpected-response', (request, response) => {
        response.resume();
        request.destroy();
        resolve(response.statusCode ?? 0);
      });
      // Every failure ends in `close`; without a listener the error would end the process.
      socket.on('error', () => resolve(0));
    });
  }

  #adopt(socket: WebSocket, cause: 'first' | 'again' | 'asked'): void {
    const { listener, clock, pingMs } = this.#options;
    this.#release(1000);
    this.#socket = socket;
    let missed = 0;
    socket.on('pong', () => {
      missed = 0;
    });
    socket.on('message', (data) => {
      if (this.#socket === socket) listener.onMessage(data as Buffer);
    });
    socket.on('close', (code) => {
      if (this.#socket !== socket) return;
      this.#pings?.cancel();
      this.#socket = undefined;
      listener.onLost(code);
      void this.#dialUntilOpen(REDIAL_DELAYS_MS[this.#options.redial], 'again');
    });
    this.#pings = clock.every(pingMs, () => {
      missed += 1;
      if (missed > MAX_MISSED_PONGS) socket.terminate();
      else socket.ping();
    });
    listener.onOpen(cause);
  }

  #release(code: number): void {
    const socket = this.#socket;
    this.#pings?.cancel();
    this.#socket = undefined;
    if (!socket) return;
    socket.close(code);
    // A peer that does not answer the close handshake must not keep the socket.
    const timer = this.#options.clock.after(1_000, () => socket.terminate());
    socket.once('close', () => timer.cancel());
  }
}
