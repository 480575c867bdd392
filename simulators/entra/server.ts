import { randomUUID } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { systemClock } from '../../platform/clock.ts';
import { answerJson, listenLocally, type Place, readBody, type TlsFiles } from '../http.ts';
import { createSigningKeys, type SigningKeys } from '../signing_keys.ts';
import { judgeTokenRequest, type TokenError } from './token_request.ts';

/** Trouble on demand; holds for requests that come from then on. */
export interface EntraFaults {
  /** So many token requests get 503. */
  unavailable: number;
  /** Connections are cut as they come in. */
  down: boolean;
}

export interface EntraSimulator {
  readonly url: string;
  /** What AKS workload identity injects: AZURE_AUTHORITY_HOST, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE; and which credential to take. */
  readonly env: Readonly<Record<string, string>>;
  readonly faults: EntraFaults;
  /** Access tokens issued since the start. */
  readonly issued: number;
  /** True when this authority issued the token for one of the audiences (scopes without `/.default`) and it is valid now. */
  verify(token: string, audiences: string | readonly string[]): Promise<boolean>;
  /** A new signing key; tokens signed before stay valid. */
  rotateKeys(): Promise<void>;
  stop(): Promise<void>;
}

export interface EntraOptions {
  tls: TlsFiles;
  /** Where the federated token file is written. */
  dir: string;
  port?: number;
  place?: Place;
  tenantId?: string;
  clientId?: string;
  accessTokenSeconds?: number;
}

/** The cluster's service account tokens live an hour and are written anew well before (Kubernetes projected volumes do it at 80 %). */
const FEDERATED_SECONDS = 3_600;
const FEDERATED_RENEW_MS = 40 * 60_000;
export const FEDERATED_AUDIENCE = 'api://AzureADTokenExchange';

/** One tenant of Entra ID with one application, which a federated credential (workload identity) signs in. */
export async function startEntra(options: EntraOptions): Promise<EntraSimulator> {
  const { tenantId = randomUUID(), clientId = randomUUID(), accessTokenSeconds = 3_599 } = options;
  const [keys, clusterKeys] = await Promise.all([createSigningKeys(), createSigningKeys()]);
  const faults: EntraFaults = { unavailable: 0, down: false };
  const authority: Authority = {
    url: '',
    tenantId,
    clientId,
    accessTokenSeconds,
    keys,
    clusterKeys,
    faults,
    issued: 0,
  };
  const server = await listenLocally(
    options.tls,
    options.port ?? 0,
    (request, response) => {
      handle(authority, request, response).catch(() => response.destroy());
    },
    options.place,
  );
  authority.url = server.url;
  const tokenFile = join(options.dir, 'federated-token');
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  await writeFederatedToken(authority, tokenFile);
  const renewal = systemClock.every(FEDERATED_RENEW_MS, () => {
    writeFederatedToken(authority, tokenFile).catch((error) => process.emitWarning(error));
  });
  return {
    url: server.url,
    faults,
    get issued() {
      return authority.issued;
    },
    env: {
      AZURE_AUTHORITY_HOST: `${server.url}/`,
      AZURE_TENANT_ID: tenantId,
      AZURE_CLIENT_ID: clientId,
      AZURE_FEDERATED_TOKEN_FILE: tokenFile,
      // Same token exchange, but without MSAL asking login.microsoftonline.com whether it knows our host: offline that takes seconds.
      AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
    },
    verify: async (token, audiences) => {
      const audience = [audiences].flat().map(withoutSlash);
      return (await keys.verify(token, { issuer: issuerOf(authority), audience })) !== undefined;
    },
    rotateKeys: () => keys.rotate(),
    async stop() {
      renewal.cancel();
      await server.stop();
    },
  };
}

interface Authority {
  url: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly accessTokenSeconds: number;
  readonly keys: SigningKeys;
  readonly clusterKeys: SigningKeys;
  readonly faults: EntraFaults;
  issued: number;
}

const issuerOf = ({ url, tenantId }: Authority) => `${url}/${tenantId}/v2.0`;
const clusterIssuerOf = ({ url }: Authority) => `${url}/cluster`;
const withoutSlash = (text: string) => text.replace(/\/+$/, '');

async function writeFederatedToken(authority: Authority, file: string): Promise<void> {
  const sub = 'system:serviceaccount:rtvoice:rtvoice-worker';
  const token = await authority.clusterKeys.sign(
    { iss: clusterIssuerOf(authority), aud: FEDERATED_AUDIENCE, sub },
    FEDERATED_SECONDS,
  );
  await writeFile(`${file}.new`, token, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

async function handle(authority: Authority, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (authority.faults.down) return void request.socket.destroy();
  const { pathname } = new URL(request.url ?? '/', authority.url);
  const [tenant, ...rest] = pathname.split('/').filter(Boolean);
  if (tenant === 'common' && rest.join('/') === 'discovery/instance')
    return answerJson(response, 200, instance(authority));
  if (tenant !== authority.tenantId) return answerJson(response, 404, { error: 'invalid_tenant' });
  switch (`${request.method} ${rest.join('/')}`) {
    case 'GET v2.0/.well-known/openid-configuration':
      return answerJson(response, 200, configuration(authority));
    case 'GET discovery/v2.0/keys':
      return answerJson(response, 200, authority.keys.jwks());
    case 'POST oauth2/v2.0/token':
      return issue(authority, request, response);
    default:
      answerJson(response, 404, { error: 'not_found' });
  }
}

async function issue(authority: Authority, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  if (authority.faults.unavailable > 0) {
    authority.faults.unavailable -= 1;
    return answerJson(response, 503, { error: 'temporarily_unavailable' }, { 'retry-after': '1' });
  }
  const expected = { issuer: clusterIssuerOf(authority), audience: [FEDERATED_AUDIENCE] };
  const verdict = await judgeTokenRequest(new URLSearchParams(body?.toString('utf8') ?? ''), {
    clientId: authority.clientId,
    isAssertionGood: async (assertion) => (await authority.clusterKeys.verify(assertion, expected)) !== undefined,
  });
  if ('error' in verdict) return refuse(response, verdict);
  const { clientId, tenantId, accessTokenSeconds } = authority;
  const claims = {
    iss: issuerOf(authority),
    aud: withoutSlash(verdict.audience),
    ...{ appid: clientId, azp: clientId, oid: clientId, sub: clientId, tid: tenantId, ver: '2.0' },
  };
  authority.issued += 1;
  answerJson(response, 200, {
    token_type: 'Bearer',
    expires_in: accessTokenSeconds,
    ext_expires_in: accessTokenSeconds,
    access_token: await authority.keys.sign(claims, accessTokenSeconds),
  });
}

function refuse(response: ServerResponse, fault: TokenError): void {
  answerJson(response, fault.status, {
    error: fault.error,
    error_description: `${fault.code}: ${fault.description}`,
    error_codes: [Number(fault.code.slice('AADSTS'.length))],
    timestamp: new Date().toISOString(),
    trace_id: randomUUID(),
    correlation_id: randomUUID(),
  });
}

function configuration(authority: Authority) {
  const base = `${authority.url}/${authority.tenantId}`;
  return {
    issuer: issuerOf(authority),
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    token_endpoint: `${base}/oauth2/v2.0/token`,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
    response_types_supported: ['code', 'id_token', 'token'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    tenant_region_scope: 'WW',
    cloud_instance_name: new URL(authority.url).host,
  };
}

function instance(authority: Authority) {
  const { host } = new URL(authority.url);
  return {
    tenant_discovery_endpoint: `${authority.url}/${authority.tenantId}/v2.0/.well-known/openid-configuration`,
    'api-version': '1.1',
    metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
  };
}
