import { WebSocket } from 'ws';
import { INTERNAL } from '../../contract/urls.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import { fairDeadline } from './deadline.ts';
import { refusalOf } from './owner_client.ts';
import type { OwnerAnswer } from './owner_search.ts';

/** One WebSocket to the owner's internal listener. Messages travel as binary, so that their bytes are passed on and not judged. */
export interface MediaLeg {
  /** False when the message was dropped: the leg is closed or its buffer is full (the newest is dropped, the owner is stuck anyway). */
  send(message: Uint8Array): boolean;
  /** Ends the leg in order; `onClosed` is not called any more. */
  close(code: number, reason: string): void;
}

export interface MediaLegHandlers {
  onMessage(message: Buffer): void;
  /** The owner closed it, or (1006) it broke. */
  onClosed(code: number, reason: string): void;
}

export interface MediaHeaders {
  callConnectionId: string;
  correlationId: string;
}

export const CALL_CONNECTION_HEADER = 'x-ms-call-connection-id';
export const CORRELATION_HEADER = 'x-ms-call-correlation-id';
/** About five seconds of 16 kHz frames. */
const MAX_BUFFERED_BYTES = 256 * 1024;
const MAX_MESSAGE_BYTES = 64 * 1024;
const PING_MS = 2_000;
const CLOSE_MS = 1_000;
/** A frozen owner keeps its sockets open; a blocked event loop (2 s) must not count as one. */
const SILENT_PINGS_UNTIL_DEAD = 3;

/** Asks the owner to take a media socket; resolves once it has accepted or not. */
export function openMediaLeg(options: {
  endpoint: string;
  callRef: string;
  authorization: string;
  headers: MediaHeaders;
  handlers: MediaLegHandlers;
  answerMs: number;
  /** The client has gone: nobody needs an answer any more. */
  signal: AbortSignal;
  clock: Clock;
  log: Log;
}): Promise<OwnerAnswer<MediaLeg>> {
  const { endpoint, callRef, authorization, headers, handlers, answerMs, signal, clock, log } = options;
  const socket = new WebSocket(endpoint.replace(/^http/, 'ws') + INTERNAL.relayMedia(callRef), {
    headers: {
      authorization,
      [CALL_CONNECTION_HEADER]: headers.callConnectionId,
      [CORRELATION_HEADER]: headers.correlationId,
    },
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
  });
  socket.binaryType = 'nodebuffer';
  return new Promise((resolve) => {
    let settled = false;
    const settle = (answer: OwnerAnswer<MediaLeg>) => {
      if (settled) return;
      settled = true;
      timer.cancel();
      signal.removeEventListener('abort', abandon);
      resolve(answer);
      if (answer.kind !== 'served') socket.terminate();
    };
    const abandon = () => settle({ kind: 'failed' });
    signal.addEventListener('abort', abandon, { once: true });
    const timer = fairDeadline(clock, answerMs, () => settle({ kind: 'noAnswer' }));
    socket.on('unexpected-response', (_request, response) => {
      response.resume();
      settle(refusalOf(response.statusCode, log));
    });
    // After the opening an error is always followed by a close, which tells all.
    socket.on('error', () => settle({ kind: 'noAnswer' }));
    socket.on('open', () => {
      if (!settled) settle({ kind: 'served', value: runLeg(socket, handlers, clock) });
    });
  });
}

function runLeg(socket: WebSocket, handlers: MediaLegHandlers, clock: Clock): MediaLeg {
  let over = false;
  let silentPings = 0;
  const finish = (code: number, reason: string) => {
    if (over) return;
    over = true;
    pinger.cancel();
    handlers.onClosed(code, reason);
  };
  const pinger = clock.every(PING_MS, () => {
    if (++silentPings > SILENT_PINGS_UNTIL_DEAD) {
      socket.terminate();
      return finish(1006, '');
    }
    if (socket.readyState === WebSocket.OPEN) socket.ping();
  });
  socket.on('pong', () => {
    silentPings = 0;
  });
  socket.on('message', (data) => {
    silentPings = 0;
    if (!over) handlers.onMessage(data as Buffer);
  });
  socket.on('close', (code, reason) => finish(code, reason.toString()));
  return {
    send(message) {
      if (over || socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > MAX_BUFFERED_BYTES) return false;
      // The socket queues by reference, and the caller's bytes are gone when this returns.
      socket.send(Buffer.from(message), { binary: true });
      return true;
    },
    close(code, reason) {
      over = true;
      pinger.cancel();
      socket.close(closeCode(code), reason.slice(0, 100));
      // A frozen owner never answers the close.
      clock.after(CLOSE_MS, () => socket.terminate());
    },
  };
}

/** Codes like 1005 and 1006 only describe a close and cannot be sent. */
export function closeCode(code: number): number {
  return code === 1000 ||
    (code >= 1001 && code <= 1014 && ![1004, 1005, 1006].includes(code)) ||
    (code >= 3000 && code < 5000)
    ? code
    : 1001;
}
