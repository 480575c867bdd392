import { request as httpRequest, type IncomingMessage, type RequestOptions, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { FrontLimits } from './front_limits.ts';
import type { Backend } from './front_workers.ts';

/** Headers that speak of one connection and not of the request (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  // Node has answered it for the client already.
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

interface Body {
  readonly start: Buffer;
  /** The client has sent all of it: it can be repeated. */
  readonly complete: boolean;
}

/** Sends one HTTP request to the first candidate that answers; 503 when none does. Resolves once the client has its answer. */
export async function forwardRequest(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  candidates: readonly Backend[],
  limits: FrontLimits,
): Promise<void> {
  const body = await readBody(incoming, limits.maxRepeatableBytes);
  const attempts = candidates.slice(0, body.complete ? limits.maxAttempts : 1);
  for (const [index, backend] of attempts.entries()) {
    const timeoutMs = index === attempts.length - 1 ? limits.lastAnswerTimeoutMs : limits.answerTimeoutMs;
    const answer = await ask(backend, incoming, body, timeoutMs);
    if (!answer) continue;
    outgoing.writeHead(answer.statusCode ?? 502, endToEnd(answer.rawHeaders));
    await pipeline(answer, outgoing);
    return;
  }
  outgoing
    .writeHead(503, { 'retry-after': '1', 'content-type': 'text/plain' })
    .end('no worker of this pool answered\n');
}

/** Undefined when the worker is gone, refuses, or gives no answer in time. */
function ask(
  backend: Backend,
  incoming: IncomingMessage,
  body: Body,
  timeoutMs: number,
): Promise<IncomingMessage | undefined> {
  const headers = endToEnd(incoming.rawHeaders);
  if (
    body.complete &&
    body.start.length > 0 &&
    !headers.some((name, at) => at % 2 === 0 && /^content-length$/i.test(name))
  ) {
    headers.push('Content-Length', String(body.start.length));
  }
  const options: RequestOptions = {
    host: '127.0.0.1',
    port: backend.port,
    method: incoming.method,
    path: incoming.url,
    // No connection is shared: a retry must never meet a socket that the dead worker had left in a pool.
    agent: false,
    headers: headers as unknown as RequestOptions['headers'] & object,
  };
  return new Promise((resolve) => {
    const outgoing = httpRequest(options);
    const timer = setTimeout(() => outgoing.destroy(), timeoutMs);
    outgoing.once('response', (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    // Also after an answer: a worker that dies in the middle of its body ends the pipeline, which reports it.
    outgoing.on('error', () => resolve(undefined));
    outgoing.once('close', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
    if (body.start.length > 0) outgoing.write(body.start);
    if (body.complete) outgoing.end();
    else incoming.pipe(outgoing);
  });
}

async function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Ending an `for await` early would destroy the request, and a large one still has to be piped on.
  for (;;) {
    const chunk = incoming.read() as Buffer | null;
    if (chunk) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > maxBytes) return { start: Buffer.concat(chunks), complete: false };
    } else if (incoming.readableEnded || incoming.complete) {
      return { start: Buffer.concat(chunks), complete: true };
    } else await readableOrEnd(incoming);
  }
}

function readableOrEnd(incoming: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => () => {
      for (const [event, listener] of listeners) incoming.off(event, listener);
      act();
    };
    const listeners: [string, () => void][] = [
      ['readable', settle(resolve)],
      ['end', settle(resolve)],
      ['error', settle(() => reject(new Error('the client went away')))],
      ['close', settle(() => (incoming.complete ? resolve() : reject(new Error('the client went away'))))],
    ];
    for (const [event, listener] of listeners) incoming.once(event, listener);
  });
}

/** Name and value in turn, as Node hands them over, so that repeated headers stay as they came. */
function endToEnd(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name, value] = [rawHeaders[at] ?? '', rawHeaders[at + 1] ?? ''];
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}
