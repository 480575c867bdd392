import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FrontLimits } from './front_limits.ts';
import type { Backend } from './front_workers.ts';

/** Sends a WebSocket upgrade to the first candidate that answers and joins the two sockets; 503 when none does. True when joined. */
export async function openTunnel(
  incoming: IncomingMessage,
  client: Duplex,
  head: Buffer,
  candidates: readonly Backend[],
  limits: FrontLimits,
): Promise<boolean> {
  const opening = Buffer.concat([Buffer.from(requestHead(incoming), 'latin1'), head]);
  const attempts = candidates.slice(0, limits.maxAttempts);
  for (const [index, backend] of attempts.entries()) {
    const timeoutMs = index === attempts.length - 1 ? limits.lastAnswerTimeoutMs : limits.answerTimeoutMs;
    const worker = await firstAnswer(backend, opening, timeoutMs);
    if (client.destroyed) {
      worker?.destroy();
      return false;
    }
    if (worker) {
      join(client, worker);
      return true;
    }
  }
  client.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  return false;
}

/** A connection on which the worker has begun to answer, with those bytes still unread; undefined when it is gone, refuses or says nothing. */
function firstAnswer(backend: Backend, opening: Buffer, timeoutMs: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: backend.port, noDelay: true, allowHalfOpen: true });
    const settle = (answer: Socket | undefined) => {
      clearTimeout(timer);
      socket
        .removeAllListeners('readable')
        .removeAllListeners('end')
        .removeAllListeners('error')
        .removeAllListeners('close');
      // From here on `join` listens; a late error of a socket that was given up must not end the process.
      socket.on('error', () => socket.destroy());
      if (!answer) socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => settle(undefined), timeoutMs);
    socket.once('error', () => settle(undefined));
    socket.once('end', () => settle(undefined));
    socket.once('close', () => settle(undefined));
    socket.once('readable', () => settle(socket.readableLength > 0 ? socket : undefined));
    socket.write(opening);
  });
}

/** Bytes both ways until one side ends; no timer of the front can cut a tunnel. */
function join(client: Duplex, worker: Socket): void {
  const end = () => {
    client.destroy();
    worker.destroy();
  };
  if ('setNoDelay' in client) (client as Socket).setNoDelay(true);
  for (const side of [client, worker]) {
    side.on('error', end);
    side.on('close', end);
  }
  client.pipe(worker);
  worker.pipe(client);
}

/** The head as it came: uWebSockets.js sees the client's own request. */
function requestHead(incoming: IncomingMessage): string {
  const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
  for (let at = 0; at + 1 < incoming.rawHeaders.length; at += 2) {
    lines.push(`${incoming.rawHeaders[at]}: ${incoming.rawHeaders[at + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
