import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, sleep, systemClock } from '../../platform/clock.ts';
import type { SpeechLibrary } from '../audio/speech.ts';
import { answerJson, listenLocally, type Place, parseObject, readBody, type TlsFiles } from '../http.ts';
import type { MediaRedial } from '../media/connection.ts';
import { Ticker } from '../media/ticker.ts';
import { createSigningKeys, type SigningKeys } from '../signing_keys.ts';
import { authenticate } from './auth.ts';
import { type CallRequest, SimulatedCall } from './call.ts';
import { NO_CALLBACK_FAULTS } from './callbacks.ts';
import type { CallConnection } from './connection.ts';
import { type AcsDeps, type AcsFaults, type AcsTimings, SERVICE_TIMINGS } from './deps.ts';
import { AcsError, badRequest } from './errors.ts';
import { EventGrid, type GridEvent } from './event_grid.ts';
import { operate } from './operations.ts';
import { Poster } from './poster.ts';
import { type Answer, Repeatability } from './repeatability.ts';

export interface AcsOptions {
  tls: TlsFiles;
  /** PEM that signs the workers' certificates, when they have any. */
  localAuthority: string;
  speech: SpeechLibrary;
  /** Value of the delivery property `x-rtvoice-key`. */
  eventGridKey: string;
  verifyToken(token: string): Promise<boolean>;
  mediaRedial?: MediaRedial;
  timings?: Partial<AcsTimings>;
  port?: number;
  place?: Place;
  clock?: Clock;
}

export interface AcsSimulator {
  readonly url: string;
  /** Base64, for connection strings. */
  readonly accessKey: string;
  /** The immutable id: audience of the tokens it signs. */
  readonly resourceId: string;
  /** ARM id: topic of its events. */
  readonly topic: string;
  readonly issuer: string;
  readonly jwksUrl: string;
  readonly faults: AcsFaults;
  readonly ticker: Ticker;
  /** What ACS does when media is lost; for calls answered from now on. */
  mediaRedial: MediaRedial;
  readonly calls: ReadonlySet<SimulatedCall>;
  /** Requests since the start by operation. */
  readonly requests: ReadonlyMap<string, number>;
  placeCall(request: CallRequest): SimulatedCall;
  /** Their IncomingCall events share one delivery; all requests must name the same webhook. */
  placeBatch(requests: readonly CallRequest[]): SimulatedCall[];
  rotateKeys(options?: { withdraw?: boolean }): Promise<void>;
  stop(): Promise<void>;
}

/** Ended calls that are kept for late requests and questions. */
const MAX_KEPT_CALLS = 2_000;

/** One Communication Services resource with its system topic. */
export async function startAcs(options: AcsOptions): Promise<AcsSimulator> {
  const resource = new Resource(options, await createSigningKeys());
  const server = await listenLocally(
    options.tls,
    options.port ?? 0,
    (request, response) => {
      resource.handle(request, response).catch(() => response.destroy());
    },
    options.place,
  );
  resource.url = server.url;
  return {
    ...{ url: server.url, issuer: server.url, jwksUrl: `${server.url}/calling/keys` },
    ...{ accessKey: resource.accessKey, resourceId: resource.resourceId, topic: resource.topic },
    ...{
      faults: resource.deps.faults,
      ticker: resource.deps.ticker,
      calls: resource.calls,
      requests: resource.requests,
    },
    get mediaRedial() {
      return resource.deps.mediaRedial;
    },
    set mediaRedial(value) {
      resource.deps.mediaRedial = value;
    },
    placeCall: (request) => resource.placeCall(request),
    placeBatch: (requests) => resource.placeBatch(requests),
    rotateKeys: (how) => resource.keys.rotate(how),
    async stop() {
      await resource.stop();
      await server.stop();
    },
  };
}

class Resource {
  url = '';
  readonly accessKey = randomBytes(64).toString('base64');
  readonly resourceId = randomUUID();
  readonly topic =
    '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rtvoice-local/providers/Microsoft.Communication/CommunicationServices/rtvoice';
  readonly keys: SigningKeys;
  readonly deps: AcsDeps;
  readonly calls = new Set<SimulatedCall>();
  readonly requests = new Map<string, number>();
  readonly #options: AcsOptions;
  readonly #byContext = new Map<string, SimulatedCall>();
  readonly #byConnection = new Map<string, CallConnection>();
  readonly #repeatability = new Repeatability();

  constructor(options: AcsOptions, keys: SigningKeys) {
    this.#options = options;
    this.keys = keys;
    const clock = options.clock ?? systemClock;
    const timings = { ...SERVICE_TIMINGS, ...options.timings };
    const poster = new Poster(options.localAuthority);
    const { topic } = this;
    const { redeliveryMs } = timings;
    this.deps = {
      ...{ clock, timings, poster, speech: options.speech, localAuthority: options.localAuthority },
      ticker: new Ticker(clock),
      grid: new EventGrid({ topic, key: options.eventGridKey, redeliveryMs, poster, clock }),
      mediaRedial: options.mediaRedial ?? 'backOffThenFail',
      faults: noFaults(),
      token: (lifeSeconds) => keys.sign({ iss: this.url, aud: this.resourceId }, lifeSeconds),
      ringing: (call) => this.#byContext.set(call.incomingCallContext, call),
      connected: (connection) => this.#byConnection.set(connection.id, connection),
    };
  }

  placeCall(request: CallRequest): SimulatedCall {
    const call = this.#newCall(request);
    call.ring();
    return call;
  }

  placeBatch(requests: readonly CallRequest[]): SimulatedCall[] {
    const events: GridEvent[] = [];
    const calls = requests.map((request) => this.#newCall(request));
    for (const call of calls) call.ring((event) => events.push(event));
    const [first] = calls;
    if (first) {
      const deadlineMs = this.deps.clock.monotonicMs() + this.deps.timings.ringMs;
      const onAttempt = (status: number) => calls.map((call) => call.attempted(status));
      void this.deps.grid.deliver(first.subscription, events, { deadlineMs, onAttempt });
    }
    return calls;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { faults } = this.deps;
    const target = request.url ?? '/';
    const { pathname, searchParams } = new URL(target, this.url);
    if (request.method === 'GET' && PUBLISHED.has(pathname)) return this.#publish(pathname, response);
    if (faults.down) return void request.socket.destroy();
    const body = await readBody(request);
    const method = request.method ?? '';
    const name = `${method} ${pathname.replace(/\/[0-9a-f-]{36}/, '/{id}')}`;
    this.requests.set(name, (this.requests.get(name) ?? 0) + 1);
    if (faults.delayMs > 0) await sleep(this.deps.clock, faults.delayMs);
    let answer: Answer;
    try {
      if (!body) throw new AcsError(413, 'PayloadTooLarge', 'The request is too large.');
      const { accessKey } = this;
      const { verifyToken } = this.#options;
      await authenticate({ method, target, headers: request.headers, body }, { accessKey, verifyToken });
      if (!searchParams.get('api-version')) throw badRequest('The api-version query parameter is missing.');
      refuseByFault(faults);
      answer = await this.#repeatability.run(target, request.headers, async () => this.#apply(method, pathname, body));
    } catch (error) {
      answer = errorAnswer(error);
    }
    if (faults.replyLost > 0 && answer.status < 300) {
      faults.replyLost -= 1;
      return void request.socket.destroy();
    }
    answerJson(response, answer.status, answer.body, { 'x-ms-request-id': randomUUID(), ...answer.headers });
  }

  async stop(): Promise<void> {
    this.deps.grid.stop();
    await Promise.all([...this.calls].map((call) => call.hangUp()));
    for (const connection of this.#byConnection.values()) connection.callbacks.stop();
    await this.deps.poster.close();
  }

  #newCall(request: CallRequest): SimulatedCall {
    const call = new SimulatedCall(this.deps, request);
    this.calls.add(call);
    if (this.calls.size > MAX_KEPT_CALLS) this.#forgetOldest();
    return call;
  }

  #forgetOldest(): void {
    for (const call of this.calls) {
      if (call.outcome === 'ringing' || (call.connection && call.connection.state !== 'disconnected')) continue;
      this.calls.delete(call);
      this.#byContext.delete(call.incomingCallContext);
      if (call.connection) this.#byConnection.delete(call.connection.id);
      return;
    }
  }

  /** A refusal is an answer too: the same request again gets it again. */
  #apply(method: string, path: string, body: Buffer): Answer {
    try {
      const parsed = parseObject(body);
      if (!parsed) throw badRequest('The body is not a JSON object.');
      const table = {
        byContext: (context: string) => this.#byContext.get(context),
        byConnection: (id: string) => this.#byConnection.get(id),
      };
      return operate(this.deps, table, method, path, parsed);
    } catch (error) {
      return errorAnswer(error);
    }
  }

  #publish(path: string, response: ServerResponse): void {
    const configuration = {
      issuer: this.url,
      jwks_uri: `${this.url}/calling/keys`,
      id_token_signing_alg_values_supported: ['RS256'],
    };
    const document = path === '/calling/keys' ? this.keys.jwks() : configuration;
    if (this.deps.faults.keysAway) answerJson(response, 503);
    else answerJson(response, 200, document);
  }
}

const PUBLISHED: ReadonlySet<string> = new Set(['/calling/keys', '/calling/.well-known/acsopenidconfiguration']);

function noFaults(): AcsFaults {
  return {
    ...{ throttle: 0, retryAfterSeconds: 1, unavailable: 0, replyLost: 0, delayMs: 0, down: false, keysAway: false },
    callbacks: { ...NO_CALLBACK_FAULTS },
  };
}

/** Before the request is applied, so that the SDK's next try is the first that counts. */
function refuseByFault(faults: AcsFaults): void {
  if (faults.throttle > 0) {
    faults.throttle -= 1;
    const headers = { 'retry-after': String(faults.retryAfterSeconds) };
    throw new AcsError(429, '429', 'Too many requests.', headers);
  }
  if (faults.unavailable > 0) {
    faults.unavailable -= 1;
    throw new AcsError(503, '503', 'The service is unavailable.');
  }
}

function errorAnswer(error: unknown): Answer {
  if (!(error instanceof AcsError)) throw error;
  const { status, code, message, headers } = error;
  return { status, body: { error: { code, message } }, headers };
}
