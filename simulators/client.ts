import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { defineError } from '../platform/errors.ts';
import type { CallRequest } from './acs/call.ts';
import type { CallProgress, CallRecord } from './caller/record.ts';
import type { FaultsRequest } from './control/requests.ts';
import type { SimulatorStatus } from './control/server.ts';

export type { CallFaults, CallRequest } from './acs/call.ts';
export type { CallOutcome, CallProgress, CallRecord, TurnRecord } from './caller/record.ts';
export type { CallerScript, ScriptStep } from './caller/script.ts';
export type { FaultsRequest } from './control/requests.ts';
export type { SimulatorStatus } from './control/server.ts';

export const CONTROL_FAILED = defineError('ERR_SIMULATOR_CONTROL', {
  status: 502,
  message: 'the simulated Azure refused or is away',
  remedy: 'Read the detail; if it is away, start local mode again.',
});

const TIMEOUT_MS = 10_000;

/** What the port file of `simulators/main.ts` holds. */
export interface PortFile {
  env: Record<string, string>;
  controlUrl: string;
  token: string;
  pid: number;
}

/** Steers simulators that run as a process of their own. */
export class AzureControl {
  readonly url: string;
  readonly token: string;

  constructor(options: { url: string; token: string }) {
    this.url = options.url;
    this.token = options.token;
  }

  /** Gives the call's id. Speech is given as text or WAV path: PCM does not travel. */
  async placeCall(request: CallRequest): Promise<string> {
    return ((await this.#json('POST', '/calls', request)) as { id: string }).id;
  }

  /** All that has happened in the call and happens, until it has ended. */
  async *events(id: string): AsyncGenerator<CallProgress> {
    const response = await this.#fetch('GET', `/calls/${encodeURIComponent(id)}/events`, { stream: true });
    if (!response.body) return;
    const lines = createInterface({
      input: Readable.fromWeb(response.body as never),
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    for await (const line of lines) yield JSON.parse(line) as CallProgress;
  }

  async call(id: string): Promise<CallRecord> {
    return (await this.#json('GET', `/calls/${encodeURIComponent(id)}`)) as CallRecord;
  }

  /** Resolves when the call is over. */
  async hangUp(id: string): Promise<void> {
    await this.#fetch('DELETE', `/calls/${encodeURIComponent(id)}`);
  }

  /** Documents of the call in Cosmos DB's container `transcripts`, its end record included. */
  async transcript(callConnectionId: string): Promise<Record<string, unknown>[]> {
    return (await this.#json('GET', `/transcripts/${encodeURIComponent(callConnectionId)}`)) as Record<
      string,
      unknown
    >[];
  }

  /** What a worker on another machine needs: variables, and the content of the files that some of them name. */
  async environment(): Promise<{ env: Record<string, string>; files: { authority: string; federatedToken: string } }> {
    return (await this.#json('GET', '/environment')) as Awaited<ReturnType<AzureControl['environment']>>;
  }

  async faults(request: FaultsRequest): Promise<void> {
    await this.#fetch('POST', '/faults', { body: request });
  }

  async status(): Promise<SimulatorStatus> {
    return (await this.#json('GET', '/status')) as SimulatorStatus;
  }

  async #json(method: string, path: string, body?: unknown): Promise<unknown> {
    return (await this.#fetch(method, path, { body })).json();
  }

  async #fetch(method: string, path: string, options: { body?: unknown; stream?: boolean } = {}): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`${this.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
        // A stream lasts as long as its call.
        ...(options.stream ? {} : { signal: AbortSignal.timeout(TIMEOUT_MS) }),
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      });
    } catch (error) {
      throw CONTROL_FAILED.with(`${method} ${path}`, error);
    }
    if (response.ok) return response;
    throw CONTROL_FAILED.with(`${method} ${path}: ${response.status} ${(await response.text()).slice(0, 500)}`);
  }
}
