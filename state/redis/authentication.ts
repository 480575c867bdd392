import type { Redis } from 'ioredis';
import type { Log } from '../../platform/log.ts';
import type { Credential, CredentialSource } from './credentials.ts';
import { redisError } from './errors.ts';
import type { RedisMetrics } from './metrics.ts';

interface Link {
  readonly sentinels: boolean;
  /** What the connection proved itself with last. */
  sent: Credential | undefined;
}

/**
 * Keeps every connection of one client on the newest credential. A live one sends AUTH, which does not change what the library sends when it connects
 * again; so each also gets the credential in its options. Nothing is cut: the server keeps a connection on its old credential until AUTH succeeds.
 */
export class Authentication {
  readonly #source: CredentialSource;
  readonly #log: Log;
  readonly #metrics: RedisMetrics;
  readonly #links = new Map<Redis, Link>();
  readonly #unsubscribe: () => void;
  #waiting: (() => void) | undefined;

  constructor(options: { source: CredentialSource; log: Log; metrics: RedisMetrics }) {
    this.#source = options.source;
    this.#log = options.log;
    this.#metrics = options.metrics;
    this.#unsubscribe = this.#source.subscribe(() => this.#changed());
  }

  /** Calls back once there is something to connect with, which may be at once. */
  whenKnown(callback: () => void): void {
    if (this.#source.current !== undefined) callback();
    else this.#waiting = callback;
  }

  /** Takes a connection that has not connected yet. `sentinels`: the Sentinels ask for the same. `returns`: it may connect again after its end. */
  adopt(redis: Redis, { sentinels, returns }: { sentinels: boolean; returns: boolean }): void {
    const link: Link = { sentinels, sent: undefined };
    this.#links.set(redis, link);
    this.#prepare(redis, link);
    // The library reads its options when it begins to connect; a change while it is at it is sent once it is through.
    redis.on('connecting', () => {
      link.sent = this.#credential;
    });
    redis.on('ready', () => void this.#send(redis, link));
    if (!returns) redis.on('end', () => this.#links.delete(redis));
  }

  close(): void {
    this.#unsubscribe();
    this.#links.clear();
    this.#waiting = undefined;
  }

  get #credential(): Credential | undefined {
    const { current } = this.#source;
    return current === 'none' ? undefined : current;
  }

  #changed(): void {
    for (const [redis, link] of this.#links) {
      this.#prepare(redis, link);
      if (redis.status === 'ready') void this.#send(redis, link);
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  #prepare(redis: Redis, { sentinels }: Link): void {
    const credential = this.#credential;
    if (!credential) return;
    redis.options.username = credential.user ?? '';
    redis.options.password = credential.password;
    if (!sentinels) return;
    redis.options.sentinelUsername = credential.user ?? '';
    redis.options.sentinelPassword = credential.password;
  }

  async #send(redis: Redis, link: Link): Promise<void> {
    const credential = this.#credential;
    if (!credential || link.sent === credential) return;
    link.sent = credential;
    try {
      await redis.call('AUTH', ...(credential.user === undefined ? [] : [credential.user]), credential.password);
      this.#metrics.authenticated('ok');
    } catch (cause) {
      this.#metrics.authenticated('failed');
      // It goes on with the old credential; a reconnection tries the new one.
      this.#log.warn({ err: redisError('auth', cause) }, 'Redis refused a new credential on a live connection');
    }
  }
}
