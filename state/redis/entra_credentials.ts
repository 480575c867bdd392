import type { AccessToken, TokenCredential } from '@azure/identity';
import { decodeJwt } from 'jose';
import type { Clock, Timer } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import type { Random } from '../../platform/random.ts';
import { type Credential, CredentialCell, type CredentialSource } from './credentials.ts';
import { REDIS_TOKEN } from './errors.ts';
import { type TokenMetrics, tokenMetrics } from './token_metrics.ts';
import { retryTokenMs, tokenRenewalMs } from './token_times.ts';

/** What a token for Azure Managed Redis and Azure Cache for Redis is asked for (learn.microsoft.com/azure/redis/entra-for-authentication). */
export const REDIS_SCOPE = 'https://redis.azure.com/.default';

const TOKEN_TIMEOUT_MS = 15_000;
/** The same token again: the identity library keeps it until shortly before its end. Asked again as after this many failures, every 15 to 30 s. */
const UNCHANGED_STEP = 6;

export interface EntraOptions {
  readonly credential: TokenCredential;
  /** Object id of the identity, which is its user name in Redis; without it that of the token. */
  readonly objectId: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
}

/** Microsoft Entra ID: the token is the password. It is renewed long before it ends, and for as long as that fails the old one is in use. */
export class EntraCredentials implements CredentialSource {
  readonly #cell = new CredentialCell();
  readonly #options: EntraOptions;
  readonly #metrics: TokenMetrics;
  readonly #abort = new AbortController();
  #timer: Timer | undefined;
  #expiresAtMs: number | undefined;
  #failures = 0;

  constructor(options: EntraOptions) {
    this.#options = options;
    this.#metrics = tokenMetrics(options.registry);
    this.#metrics.watch(this);
    void this.#renew();
  }

  get current(): Credential | undefined {
    return this.#cell.current;
  }

  /** Milliseconds until the token in use ends, below 0 once it has; undefined until there is one. */
  get expiresInMs(): number | undefined {
    return this.#expiresAtMs === undefined ? undefined : this.#expiresAtMs - this.#options.clock.wallMs();
  }

  subscribe(listener: (credential: Credential) => void): () => void {
    return this.#cell.subscribe(listener);
  }

  close(): void {
    this.#abort.abort();
    this.#timer?.cancel();
    this.#metrics.unwatch(this);
    this.#cell.clear();
  }

  async #renew(): Promise<void> {
    const { clock, random, log } = this.#options;
    let delayMs: number;
    try {
      const token = await this.#ask();
      if (this.#abort.signal.aborted) return;
      const fresh = this.#cell.set({ user: this.#options.objectId ?? objectIdOf(token.token), password: token.token });
      this.#expiresAtMs = token.expiresOnTimestamp;
      this.#metrics.renewed(fresh ? 'ok' : 'unchanged');
      if (this.#failures > 0) log.info({ failures: this.#failures }, 'the token for Redis is renewed again');
      this.#failures = 0;
      const expiresInMs = token.expiresOnTimestamp - clock.wallMs();
      delayMs = fresh ? tokenRenewalMs({ expiresInMs, random }) : retryTokenMs(UNCHANGED_STEP, random);
    } catch (cause) {
      if (this.#abort.signal.aborted) return;
      this.#metrics.renewed('failed');
      this.#failures += 1;
      const err = REDIS_TOKEN.with(undefined, cause);
      if (this.#failures === 1) log.warn({ err, expiresInMs: this.expiresInMs }, 'no new token for Redis; trying on');
      delayMs = retryTokenMs(this.#failures, random);
    }
    this.#timer = clock.after(delayMs, () => void this.#renew());
  }

  async #ask(): Promise<AccessToken> {
    const limit = new AbortController();
    const timer = this.#options.clock.after(TOKEN_TIMEOUT_MS, () => limit.abort());
    const abortSignal = AbortSignal.any([limit.signal, this.#abort.signal]);
    try {
      const token = await this.#options.credential.getToken(REDIS_SCOPE, { abortSignal });
      if (!token) throw REDIS_TOKEN.with('the identity gives none for the scope of Redis');
      return token;
    } finally {
      timer.cancel();
    }
  }
}

/** The `oid` claim. The signature is not checked: the token is ours, and Redis judges it. */
function objectIdOf(token: string): string {
  let oid: unknown;
  try {
    ({ oid } = decodeJwt(token));
  } catch (cause) {
    throw REDIS_TOKEN.with('the token is no JWT; set RTVOICE_REDIS_USER to the object id of the identity', cause);
  }
  if (typeof oid !== 'string' || oid === '') {
    throw REDIS_TOKEN.with('the token has no `oid`; set RTVOICE_REDIS_USER to the object id of the identity');
  }
  return oid;
}
