import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerJson, listenLocally, type Place, readBody, type TlsFiles } from '../http.ts';
import { type Answer, refusal, throttled, unauthenticated } from './answers.ts';
import type { Operation, RedisResource } from './redis_resource.ts';
import { type Provider, route } from './routes.ts';

/** Trouble on demand; holds for requests that come from then on. */
export interface ArmFaults {
  /** So many changes get 409, as while another change is under way. */
  conflict: number;
  /** So many requests get 429. */
  throttle: number;
  /** So many requests get 503. */
  unavailable: number;
  /** So many changes are applied, then the connection is cut before the answer. */
  replyLost: number;
  /** The identity has no role that allows changes. */
  forbidden: boolean;
  /** The identity may change the resource, but not follow the operation: its role is on the resource alone. */
  statusForbidden: boolean;
  /** The change is taken, and the operation fails with this. */
  failure: { code: string; message: string } | undefined;
  /** What 202 and 429 name as the time to wait. */
  retryAfterSeconds: number;
}

export interface ArmSimulator {
  readonly url: string;
  readonly faults: ArmFaults;
  /** By resource id in lower case. */
  readonly resources: ReadonlyMap<string, RedisResource>;
  /** Changes that were taken since the start, oldest first: the SKU that each asked for. */
  readonly changes: readonly string[];
  /** Requests since the start, for example `PATCH resource`. */
  readonly requests: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

export interface ArmOptions {
  tls: TlsFiles;
  /** Whether the token is good for the audience, which is the endpoint itself: clients ask for `<url>/.default`. */
  verifyToken(token: string, audience: string): Promise<boolean>;
  resources: readonly { id: string; sku: string; location?: string }[];
  /** SKUs that a resource may have; another one gets 400. */
  skus: readonly string[];
  /** Status requests before a change is over; default 2. */
  polls?: number;
  /** How a change is answered: 202 with both URLs (default), 202 with `Location` alone, or 200 with the resource. */
  style?: ChangeStyle;
  port?: number;
  place?: Place;
}

export type ChangeStyle = 'azureAsyncOperation' | 'location' | 'resource';

/** Azure Resource Manager with Azure Managed Redis resources, as REST clients see it. */
export async function startArm(options: ArmOptions): Promise<ArmSimulator> {
  const faults: ArmFaults = {
    ...{ conflict: 0, throttle: 0, unavailable: 0, replyLost: 0, forbidden: false, statusForbidden: false },
    ...{ failure: undefined, retryAfterSeconds: 1 },
  };
  const resources = new Map<string, RedisResource>();
  for (const { id, sku, location = 'westeurope' } of options.resources) {
    resources.set(id.toLowerCase(), { id, location, sku: { name: sku }, provisioningState: 'Succeeded' });
  }
  const provider: Provider = {
    ...{ url: '', faults, resources, operations: new Map<string, Operation>(), changes: [], skus: options.skus },
    ...{ polls: options.polls ?? 2, style: options.style ?? 'azureAsyncOperation' },
  };
  const requests = new Map<string, number>();
  const server = await listenLocally(
    options.tls,
    options.port ?? 0,
    (request, response) => {
      handle({ provider, requests, verifyToken: options.verifyToken }, request, response).catch(() =>
        response.destroy(),
      );
    },
    options.place,
  );
  provider.url = server.url;
  return { url: server.url, faults, resources, changes: provider.changes, requests, stop: () => server.stop() };
}

interface Service {
  readonly provider: Provider;
  readonly requests: Map<string, number>;
  readonly verifyToken: ArmOptions['verifyToken'];
}

async function handle(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const answer = await answerTo(service, request);
  if (answer === 'cut') return void request.socket.destroy();
  response.setHeader('x-ms-request-id', randomUUID());
  response.setHeader('x-ms-correlation-request-id', randomUUID());
  answerJson(response, answer.status, answer.body, answer.headers);
}

async function answerTo(
  { provider, requests, verifyToken }: Service,
  request: IncomingMessage,
): Promise<Answer | 'cut'> {
  const { faults, url: audience } = provider;
  const body = await readBody(request);
  const url = new URL(request.url ?? '/', audience);
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (!token || !(await verifyToken(token, audience))) return unauthenticated(audience);
  if (faults.unavailable > 0) {
    faults.unavailable -= 1;
    return refusal(503, 'ServerUnavailable', 'The service is unavailable.');
  }
  if (faults.throttle > 0) {
    faults.throttle -= 1;
    return throttled(faults.retryAfterSeconds);
  }
  const count = (label: string) => requests.set(label, (requests.get(label) ?? 0) + 1);
  return route(provider, { method: request.method ?? '', url, body }, count);
}
