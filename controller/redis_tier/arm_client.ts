import type { TokenCredential } from '@azure/identity';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Random } from '../../platform/random.ts';
import { BoundedHttp, isPassing, type NoReply, type Reply, waitToRetry } from './http.ts';

/**
 * The last stable version of the resource provider whose PATCH was read: Azure/azure-rest-api-specs,
 * specification/redisenterprise/resource-manager/Microsoft.Cache/RedisEnterprise/stable/2025-07-01/redisenterprise.json.
 */
export const REDIS_ENTERPRISE_API_VERSION = '2025-07-01';
export const PUBLIC_ARM_ENDPOINT = 'https://management.azure.com';

const TIMEOUT_MS = 30_000;
const MAX_TRIES = 4;
/** No token: Entra ID did not give one. */
const NO_TOKEN = 'ERR_NO_TOKEN';
/** The service named a URL of somebody else. */
export const FOREIGN_URL = 'ERR_FOREIGN_URL';

export interface RedisEnterprise {
  readonly sku: { readonly name: string; readonly capacity?: number };
  readonly provisioningState: string;
}

/** An answer that is no success. `code` and `message` are the service's own, cut short. */
export interface ArmRefusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

export interface ArmClientOptions {
  readonly resourceId: string;
  readonly credential: TokenCredential;
  /** Of the cloud that the resource is in. */
  readonly endpoint: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs?: number;
}

/** Requests about one Azure Managed Redis. Rejects with the signal's reason alone. */
export class ArmClient {
  readonly #options: ArmClientOptions;
  readonly #http: BoundedHttp;
  readonly #origin: string;

  constructor(options: ArmClientOptions) {
    this.#options = options;
    this.#origin = new URL(options.endpoint).origin;
    this.#http = new BoundedHttp({ timeoutMs: options.timeoutMs ?? TIMEOUT_MS });
  }

  async read(signal: AbortSignal): Promise<RedisEnterprise | ArmRefusal> {
    const reply = await this.#withRetry(this.#resourceUrl(), signal);
    return readResource(reply) ?? refusalOf(reply);
  }

  /** One change, not sent again by itself: after a lost answer the caller looks at the resource first. */
  changeSku(sku: RedisEnterprise['sku'], signal: AbortSignal): Promise<Reply | NoReply> {
    return this.#once('PATCH', this.#resourceUrl(), JSON.stringify({ sku }), signal);
  }

  /** A URL that the service gave for following an operation. One of another origin is not asked: the token is not for it. */
  follow(url: string, signal: AbortSignal): Promise<Reply | NoReply> {
    if (!URL.canParse(url) || new URL(url).origin !== this.#origin) {
      return Promise.resolve({ kind: 'none', code: FOREIGN_URL });
    }
    return this.#once('GET', url, undefined, signal);
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  #resourceUrl(): string {
    return `${this.#origin}${this.#options.resourceId}?api-version=${REDIS_ENTERPRISE_API_VERSION}`;
  }

  async #withRetry(url: string, signal: AbortSignal): Promise<Reply | NoReply> {
    for (let attempt = 1; ; attempt++) {
      const reply = await this.#once('GET', url, undefined, signal);
      // The identity library has already tried for a token again and again.
      const tokenless = reply.kind === 'none' && reply.code === NO_TOKEN;
      if (tokenless || !isPassing(reply) || attempt >= MAX_TRIES) return reply;
      await waitToRetry(attempt, reply, { ...this.#options, signal });
    }
  }

  async #once(
    method: 'GET' | 'PATCH',
    url: string,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<Reply | NoReply> {
    const token = await this.#token(signal);
    if (token === undefined) return { kind: 'none', code: NO_TOKEN };
    const headers = {
      authorization: `Bearer ${token}`,
      'user-agent': 'rtvoice-controller',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    return this.#http.send({ method, url, headers, ...(body === undefined ? {} : { body }) }, signal);
  }

  /** The library keeps tokens and renews them in time. */
  async #token(signal: AbortSignal): Promise<string | undefined> {
    try {
      const scope = `${this.#origin}/.default`;
      return (await this.#options.credential.getToken(scope, { abortSignal: signal }))?.token;
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }
}

export function isRefusal(value: RedisEnterprise | ArmRefusal): value is ArmRefusal {
  return 'status' in value;
}

/** Undefined when the reply is no resource. */
export function readResource(reply: Reply | NoReply): RedisEnterprise | undefined {
  if (reply.kind === 'none' || reply.status !== 200) return undefined;
  const { sku, properties } = parse<{
    sku?: { name?: unknown; capacity?: unknown };
    properties?: { provisioningState?: unknown };
  }>(reply.body);
  if (typeof sku?.name !== 'string') return undefined;
  const { provisioningState } = properties ?? {};
  return {
    sku: { name: sku.name, ...(typeof sku.capacity === 'number' ? { capacity: sku.capacity } : {}) },
    // Without one the last operation has ended well: the rule of Azure Resource Manager.
    provisioningState: typeof provisioningState === 'string' ? provisioningState : 'Succeeded',
  };
}

export function refusalOf(reply: Reply | NoReply): ArmRefusal {
  if (reply.kind === 'none') {
    const message = reply.code === NO_TOKEN ? 'Entra ID gives no token' : `no answer (${reply.code})`;
    return { status: 0, code: reply.code, message };
  }
  const { error } = parse<{ error?: { code?: unknown; message?: unknown } }>(reply.body);
  const text = (value: unknown, limit: number) => (typeof value === 'string' ? value.slice(0, limit) : '');
  return { status: reply.status, code: text(error?.code, 80), message: text(error?.message, 300) };
}

/** The JSON object, or an empty one: what is missing is found by its reader. */
export function parse<T extends object>(text: string): Partial<T> {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' ? (value as Partial<T>) : {};
  } catch (error) {
    if (errorCode(error) === 'SyntaxError') return {};
    throw error;
  }
}
