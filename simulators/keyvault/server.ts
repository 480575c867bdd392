import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { bearerOf } from '../../security/shared_keys.ts';
import { answerJson, listenLocally, type Place, parseObject, readBody, type TlsFiles } from '../http.ts';
import { badParameter, throttled, unavailable, VaultHttpError } from './http_error.ts';
import { loadKeys, saveKeys } from './key_file.ts';
import { route } from './routes.ts';
import { Vault } from './vault.ts';

/** Trouble on demand; holds for requests that come from then on. */
export interface KeyVaultFaults {
  /** So many authorised requests get 429. */
  throttle: number;
  /** What those answers name as the time to wait. */
  retryAfterSeconds: number;
  /** So many authorised requests get 503. */
  unavailable: number;
  /** Every answer comes this much later. */
  delayMs: number;
  /** Connections are cut as they come in. */
  down: boolean;
}

export interface KeyVaultSimulator {
  readonly url: string;
  readonly faults: KeyVaultFaults;
  /** Authorised requests since the start by what they do, for example `POST unwrapkey` or `GET keys`. */
  readonly requests: ReadonlyMap<string, number>;
  /** Makes a key, or a new version of it, as an owner would in the portal. The id of the version. */
  createKey(name: string): Promise<string>;
  /** Switches one version, or the newest. */
  setEnabled(name: string, enabled: boolean, version?: string): void;
  stop(): Promise<void>;
}

export interface KeyVaultOptions {
  tls: TlsFiles;
  /** True when the token is one for `https://vault.azure.net` and valid. */
  verifyToken: (token: string) => Promise<boolean> | boolean;
  /** What the challenge names: `https://<authority>/<tenant>`. */
  authorization: string;
  port?: number;
  place?: Place;
  /** Keys survive a restart with the same file. */
  dataFile?: string;
  nowMs?: () => number;
}

export const VAULT_AUDIENCE = 'https://vault.azure.net';
const VERBS = new Set(['wrapkey', 'unwrapkey', 'create', 'rotate', 'versions', 'recover']);

interface Service {
  readonly options: KeyVaultOptions;
  readonly vault: Vault;
  readonly faults: KeyVaultFaults;
  readonly requests: Map<string, number>;
  url: string;
}

/** One vault of Azure Key Vault with RSA keys, as `@azure/keyvault-keys` speaks to it. Without a data file keys live as long as the process. */
export async function startKeyVault(options: KeyVaultOptions): Promise<KeyVaultSimulator> {
  const service: Service = {
    options,
    vault: new Vault({
      nowMs: options.nowMs ?? Date.now,
      keys: options.dataFile === undefined ? [] : loadKeys(options.dataFile),
    }),
    faults: { throttle: 0, retryAfterSeconds: 1, unavailable: 0, delayMs: 0, down: false },
    requests: new Map(),
    url: '',
  };
  const server = await listenLocally(
    options.tls,
    options.port ?? 0,
    (request, response) => {
      handle(service, request, response).catch(() => response.destroy());
    },
    options.place,
  );
  service.url = server.url;
  const { vault } = service;
  const changed = () => save(service);
  return {
    url: server.url,
    faults: service.faults,
    requests: service.requests,
    createKey: async (name) => {
      const { version } = await vault.create(name, { kty: 'RSA' });
      changed();
      return `${server.url}/keys/${name}/${version}`;
    },
    setEnabled: (name, enabled, version) => {
      vault.update(vault.version(name, version), { attributes: { enabled } });
      changed();
    },
    stop: () => server.stop(),
  };
}

async function handle(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { faults, options, requests, url, vault } = service;
  if (faults.down) return void request.socket.destroy();
  const body = await readBody(request);
  if (faults.delayMs > 0) await delay(faults.delayMs);
  const { pathname, searchParams } = new URL(request.url ?? '/', url);
  const segments = pathname.split('/').filter(Boolean).map(decodeURIComponent);
  const headers = { 'x-ms-request-id': randomUUID(), 'x-ms-keyvault-service-version': '1.9.2428.1' };
  if (!(await isAuthorised(options, request))) return challenge(options, response, headers);
  const last = segments.at(-1) ?? '';
  const name = `${request.method} ${VERBS.has(last) ? last : (segments[0] ?? '')}`;
  requests.set(name, (requests.get(name) ?? 0) + 1);
  try {
    if (faults.throttle > 0) {
      faults.throttle -= 1;
      throw throttled(faults.retryAfterSeconds);
    }
    if (faults.unavailable > 0) {
      faults.unavailable -= 1;
      throw unavailable();
    }
    const parsed = body && parseObject(body);
    if (!parsed) throw badParameter('The request body is not a JSON object of an acceptable size.');
    const method = request.method ?? '';
    const answer = await route(vault, { method, segments, query: searchParams, body: parsed, vaultUrl: url });
    if (method !== 'GET' && last !== 'wrapkey' && last !== 'unwrapkey') save(service);
    answerJson(response, answer.status, answer.body, headers);
  } catch (error) {
    if (!(error instanceof VaultHttpError)) throw error;
    answerJson(response, error.status, error.body, { ...headers, ...error.headers });
  }
}

function save({ options, vault }: Service): void {
  if (options.dataFile !== undefined) saveKeys(options.dataFile, vault.keys);
}

async function isAuthorised(options: KeyVaultOptions, request: IncomingMessage): Promise<boolean> {
  const token = bearerOf(request.headers.authorization);
  return token !== undefined && (await options.verifyToken(token));
}

/** The service names the authority and the resource that a token must be for; clients ask without a token to learn them. */
function challenge(options: KeyVaultOptions, response: ServerResponse, headers: Record<string, string>): void {
  const message = 'AKV10000: Request is missing a Bearer or PoP token.';
  answerJson(
    response,
    401,
    { error: { code: 'Unauthorized', message } },
    {
      ...headers,
      'www-authenticate': `Bearer authorization="${options.authorization}", resource="${VAULT_AUDIENCE}"`,
    },
  );
}
