import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface TlsFiles {
  key: string;
  cert: string;
}

/** Where a simulator is reached; by default on this machine alone. */
export interface Place {
  /** Address to listen on; default 127.0.0.1. */
  readonly bindAddress?: string;
  /** Name in the URLs that it hands out, and in its certificate; default 127.0.0.1. */
  readonly host?: string;
}

export interface LocalServer {
  readonly port: number;
  /** `https://<host>:<port>`. */
  readonly url: string;
  stop(): Promise<void>;
}

const MAX_BODY_BYTES = 256 * 1024;

/** An HTTPS listener; port 0 takes a free one. */
export async function listenLocally(
  tls: TlsFiles,
  port: number,
  listener: RequestListener,
  { bindAddress = '127.0.0.1', host = '127.0.0.1' }: Place = {},
): Promise<LocalServer> {
  const server: Server = createServer({ ...tls, minVersion: 'TLSv1.2' }, listener);
  server.keepAliveTimeout = 60_000;
  server.listen(port, bindAddress);
  await once(server, 'listening');
  const { port: taken } = server.address() as AddressInfo;
  return {
    port: taken,
    url: `https://${host}:${taken}`,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The whole body; undefined when it is longer than a request to these services may be. */
export async function readBody(request: IncomingMessage, maxBytes = MAX_BODY_BYTES): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Reading on keeps the connection in step.
    if (length <= maxBytes) chunks.push(chunk);
  }
  return length > maxBytes ? undefined : Buffer.concat(chunks);
}

export function answerJson(
  response: ServerResponse,
  status: number,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    ...(body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
    'content-length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

export function parseObject(body: Buffer): Record<string, unknown> | undefined {
  if (body.length === 0) return {};
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
