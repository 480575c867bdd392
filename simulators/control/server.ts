import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RtvoiceError } from '../../platform/errors.ts';
import { bearerOf, createSharedKeys } from '../../security/shared_keys.ts';
import type { Azure, SimulatedCall } from '../azure.ts';
import { answerJson, readBody } from '../http.ts';
import { applyFaults, CONTROL_REQUEST_INVALID, readCallRequest } from './requests.ts';

export interface ControlServer {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Scripts of thousands of steps fit. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** The API that other processes steer the simulators by, on loopback unless told otherwise; every request needs the token. */
export async function startControl(
  azure: Azure,
  options: { token: string; port?: number; bindAddress?: string },
): Promise<ControlServer> {
  const keys = createSharedKeys([options.token]);
  const server = createServer((request, response) => {
    if (!keys.accepts(bearerOf(request.headers.authorization))) {
      answerJson(response, 401, { code: 'ERR_UNAUTHENTICATED', message: 'the token of the port file is needed' });
      return;
    }
    handle(azure, request, response).catch((error) => refuse(response, error));
  });
  server.listen(options.port ?? 0, options.bindAddress ?? '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function handle(azure: Azure, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://control');
  const [collection, id, leaf] = pathname.split('/').filter(Boolean).map(decodeURIComponent);
  switch (`${request.method} /${[collection, id && ':id', leaf].filter(Boolean).join('/')}`) {
    case 'POST /calls': {
      const call = azure.placeCall(readCallRequest(await readJson(request)));
      return answerJson(response, 201, { id: call.id });
    }
    case 'GET /calls/:id':
      return answerJson(response, 200, { ...find(azure, id).record });
    case 'GET /calls/:id/events':
      return stream(find(azure, id), response);
    case 'DELETE /calls/:id':
      await find(azure, id).hangUp();
      return answerJson(response, 204);
    case 'GET /transcripts/:id':
      return answerJson(response, 200, transcript(azure, id));
    case 'POST /faults':
      await applyFaults(azure, await readJson(request));
      return answerJson(response, 204);
    case 'GET /environment':
      return answerJson(response, 200, await environment(azure));
    case 'GET /status':
      return answerJson(response, 200, statusOf(azure));
    default:
      answerJson(response, 404, { code: 'ERR_NOT_FOUND', message: 'no such path' });
  }
}

/** One JSON object a line, from the first event to `ended`. A slow reader is waited for. */
async function stream(call: SimulatedCall, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  for await (const event of call.events()) {
    if (response.destroyed) return;
    if (response.write(`${JSON.stringify(event)}\n`)) continue;
    await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
  response.end();
}

/** What a worker on another machine needs: the variables, and the content of the files that some of them name. */
async function environment({ env, files }: Azure): Promise<{ env: Azure['env']; files: Record<string, string> }> {
  const [authority, federatedToken] = await Promise.all(
    [files.authority, files.federatedToken].map((path) => readFile(path, 'utf8')),
  );
  return { env, files: { authority: authority ?? '', federatedToken: federatedToken ?? '' } };
}

function find(azure: Azure, id: string | undefined): SimulatedCall {
  for (const call of azure.acs.calls) if (call.id === id) return call;
  throw CONTROL_REQUEST_INVALID.with('no call has this id');
}

function transcript(azure: Azure, callConnectionId: string | undefined): unknown[] {
  const { RTVOICE_COSMOS_DATABASE: database = '' } = azure.env;
  return azure.cosmos
    .documents(database, 'transcripts')
    .filter((document) => document.callConnectionId === callConnectionId);
}

export interface SimulatorStatus {
  calls: { ringing: number; live: number; ended: number };
  media: { ticks: number; lateTicks: number; maxLateMs: number; skippedTicks: number };
  requests: Record<string, number>;
}

function statusOf(azure: Azure): SimulatorStatus {
  const calls = [...azure.acs.calls];
  const ringing = calls.filter(({ outcome }) => outcome === 'ringing').length;
  const live = calls.filter(({ connection }) => connection && connection.state !== 'disconnected').length;
  return {
    calls: { ringing, live, ended: calls.length - ringing - live },
    media: azure.acs.ticker.figures,
    requests: Object.fromEntries(azure.acs.requests),
  };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const body = await readBody(request, MAX_BODY_BYTES);
  if (!body) throw CONTROL_REQUEST_INVALID.with('the body is over 4 MiB');
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw CONTROL_REQUEST_INVALID.with('the body is not JSON', error);
  }
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy();
  else if (error instanceof RtvoiceError) answerJson(response, error.status, error.toJSON());
  else answerJson(response, 500, { code: 'ERR_INTERNAL', message: String(error) });
}
