import { once } from 'node:events';
import { Registry } from 'prom-client';
import { WebSocket } from 'ws';
import { callUrls } from '../../contract/urls.ts';
import { type Clock, systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createSecurity, type Security } from '../../security/security.ts';
import type { SocketLimits } from '../../worker/http/socket_limits.ts';
import type { HealthProviders } from '../../worker/routes/health_checks.ts';
import { createServer, type WorkerServer } from '../../worker/server.ts';
import { LeaseWorld, ListenerHost } from './listener_host.ts';
import { AUDIENCE, ISSUER, type TokenIssuer } from './token_issuer.ts';

export const POOL = { namespace: 'local', pool: 'front' } as const;
export const TOPIC = '/subscriptions/s1/resourceGroups/g1/providers/Microsoft.Communication/communicationServices/acs1';
export const EVENT_GRID_KEY = 'event-grid-key-number-one';
export const INTERNAL_KEY = 'internal-key-number-one';
export const CALL_TOKEN_KEY = 'call-token-key-number-one';
export const CALL_REF = 'abcdefghij0123456789';

export interface ListenerWorker {
  host: ListenerHost;
  server: WorkerServer;
  security: Security;
  registry: Registry;
  publicUrl: string;
  internalUrl: string;
  /** Callback and media URL of a call, with its token. */
  urls(callRef?: string, token?: string): { callbackUrl: string; transportUrl: string };
  /** The value of a series, 0 when there is none. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  close(): Promise<void>;
}

const healthy: HealthProviders = {
  redis_connectivity: () => ({ healthy: true }),
  memory_usage: () => ({ healthy: true }),
  key_expiration_compliance: () => ({ healthy: true }),
  encryption_validation: () => ({ healthy: true }),
  performance_baseline: () => ({ healthy: true }),
  security_posture: () => ({ healthy: true }),
};

/** Both listeners of one worker on free ports, around a ListenerHost. */
export async function startListenerWorker(options: {
  issuer: TokenIssuer;
  worker?: string;
  world?: LeaseWorld;
  limits?: Partial<SocketLimits>;
  healthProviders?: Partial<HealthProviders>;
  clock?: Clock;
  publicPort?: number;
}): Promise<ListenerWorker> {
  const { issuer, worker = 'front-aaaaa', world = new LeaseWorld(), clock = systemClock } = options;
  const registry = new Registry();
  const security = createSecurity({
    config: {
      callTokenKeys: [CALL_TOKEN_KEY],
      acsIssuer: ISSUER,
      acsResourceId: AUDIENCE,
      acsJwksUrl: issuer.url,
      eventGridKeys: [EVENT_GRID_KEY, 'event-grid-key-number-two'],
      eventGridTopic: TOPIC,
      internalKeys: [INTERNAL_KEY, 'internal-key-number-two'],
    },
    registry,
    log: silentLog,
    clock,
  });
  const host = new ListenerHost(worker, world);
  const server = createServer({
    config: {
      ...POOL,
      bindAddress: '127.0.0.1',
      publicPort: options.publicPort ?? 0,
      internalPort: 0,
      ...(options.limits ? { limits: options.limits } : {}),
    },
    host,
    security,
    registry,
    log: silentLog,
    clock,
    healthProviders: { ...healthy, ...options.healthProviders },
  });
  const { publicPort, internalPort } = await server.listen().catch(async (error: unknown) => {
    await server.close();
    throw error;
  });
  const [publicUrl, internalUrl] = [`http://127.0.0.1:${publicPort}`, `http://127.0.0.1:${internalPort}`];
  host.endpoint = internalUrl;
  const tag = `${POOL.namespace}.${POOL.pool}` as const;
  return {
    host,
    server,
    security,
    registry,
    publicUrl,
    internalUrl,
    urls: (
      callRef = CALL_REF,
      token = security.callTokens.issue({ tag, callRef, expiresAtMs: clock.wallMs() + 3_600_000 }),
    ) => callUrls({ publicUrl, ref: POOL, worker, callRef, token }),
    async metric(name, labels = {}) {
      const series = (await registry.getMetricsAsJSON()).find((metric) => metric.name === name);
      const values = (series?.values ?? []) as { value: number; labels: Record<string, unknown> }[];
      return values
        .filter(({ labels: own }) => Object.entries(labels).every(([key, value]) => own[key] === value))
        .reduce((sum, { value }) => sum + value, 0);
    },
    close: () => server.close(),
  };
}

export const MEDIA_HEADERS = { 'x-ms-call-connection-id': 'conn-1', 'x-ms-call-correlation-id': 'corr-1' } as const;

/** Dials as ACS does. Resolves to the open socket, or to the status that refused it. */
export async function dial(url: string, headers: Record<string, string>): Promise<WebSocket | number> {
  const socket = new WebSocket(url, { headers, perMessageDeflate: false });
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(socket));
    socket.on('unexpected-response', (_request, response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    socket.on('error', reject);
  });
}

/** The next message of a socket as text. */
export async function nextMessage(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, 'message', { signal: AbortSignal.timeout(10_000) })) as [Buffer];
  return data.toString('latin1');
}

export function cloudEvent(type: string, id: string): Record<string, unknown> {
  return {
    id,
    source: 'calling/callConnections/conn-1',
    type: `Microsoft.Communication.${type}`,
    specversion: '1.0',
    time: '2026-01-01T00:00:00Z',
    data: { callConnectionId: 'conn-1' },
  };
}
