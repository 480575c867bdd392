import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { Counter, type Registry } from '../../platform/metrics.ts';
import type { RecordCodec } from '../envelope.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import { ttlMs } from '../keys/ttl.ts';
import type { RedisClient } from '../redis/client.ts';

/** What is known of a caller; members beside these are the deployment's own. */
export interface Profile {
  readonly userId: string;
  readonly callCount: number;
  readonly [member: string]: unknown;
}

/** The record that lasts: Cosmos DB. */
export interface ProfileSource {
  /** Undefined when this caller never called. Rejects with a store's error. */
  readProfile(userId: string): Promise<Profile | undefined>;
}

export interface ProfilesOptions {
  /** The fast-fail client: a call that starts must not wait. */
  redis: RedisClient;
  keys: RedisKeyManager;
  /** Undefined where there is no Cosmos DB: then nobody is known. */
  source: ProfileSource | undefined;
  codec: RecordCodec;
  clock: Clock;
  log: Log;
  registry: Registry;
  copyTtlMs?: number;
}

type Found = 'redis' | 'cosmos' | 'unknown' | 'error';

/** Profiles at the start of a call: Redis' copy, else Cosmos DB's document, of which Redis gets a copy for a quarter of an hour. */
export class Profiles {
  readonly #options: ProfilesOptions;
  readonly #copyTtlMs: number;
  readonly #reads: Counter<'result'>;
  /** Calls of one caller that start together ask once; as many as callers who are ringing. */
  readonly #inFlight = new Map<string, Promise<Profile | undefined>>();

  constructor(options: ProfilesOptions) {
    this.#options = options;
    this.#copyTtlMs = options.copyTtlMs ?? ttlMs('profile_copy');
    this.#reads = new Counter({
      name: 'rtvoice_profile_reads_total',
      help: 'Profiles asked for at the start of calls: found in redis or cosmos, unknown, or error (the call goes on without).',
      labelNames: ['result'],
      registers: [options.registry],
    });
    for (const result of ['redis', 'cosmos', 'unknown', 'error'] satisfies Found[]) this.#reads.inc({ result }, 0);
  }

  /** The first that is known of a caller's pseudonyms, of which there are several while keys overlap. Never rejects: a call goes on without. */
  async read(userIds: readonly string[]): Promise<Profile | undefined> {
    for (const userId of userIds) {
      const profile = await this.#once(userId);
      if (profile) return profile;
    }
    return undefined;
  }

  /** After an update has reached Cosmos DB: the copy is old. A copy that cannot be removed lives on for its quarter of an hour. */
  async forget(userId: string): Promise<void> {
    const { redis, keys, log } = this.#options;
    await redis.command('UNLINK', keys.profileKey(userId)).catch((error: unknown) => {
      log.debug({ code: errorCode(error) }, 'the copy of a profile stays until it expires');
    });
  }

  #once(userId: string): Promise<Profile | undefined> {
    const running = this.#inFlight.get(userId);
    if (running) return running;
    const read = this.#read(userId).finally(() => this.#inFlight.delete(userId));
    this.#inFlight.set(userId, read);
    return read;
  }

  async #read(userId: string): Promise<Profile | undefined> {
    const { source, log } = this.#options;
    const copy = await this.#copy(userId);
    if (copy) return this.#found('redis', copy);
    if (!source) return this.#found('unknown', undefined);
    try {
      const profile = await source.readProfile(userId);
      if (profile) void this.#keep(userId, profile);
      return this.#found(profile ? 'cosmos' : 'unknown', profile);
    } catch (error) {
      log.info({ code: errorCode(error) }, 'a call starts without the profile of its caller');
      return this.#found('error', undefined);
    }
  }

  #found(result: Found, profile: Profile | undefined): Profile | undefined {
    this.#reads.inc({ result });
    return profile;
  }

  async #copy(userId: string): Promise<Profile | undefined> {
    const { redis, keys, codec, log } = this.#options;
    try {
      const text = await redis.command<string | null>('GET', keys.profileKey(userId));
      if (text === null) return undefined;
      const body = await codec.open({ kind: 'profile', id: userId }, text);
      return typeof body.userId === 'string' && typeof body.callCount === 'number' ? (body as Profile) : undefined;
    } catch (error) {
      log.debug({ code: errorCode(error) }, 'the copy of a profile cannot be read');
      return undefined;
    }
  }

  async #keep(userId: string, profile: Profile): Promise<void> {
    const { redis, keys, codec, log } = this.#options;
    try {
      const text = await codec.seal({ kind: 'profile', id: userId }, profile);
      await redis.command('SET', keys.profileKey(userId), text, 'PX', this.#copyTtlMs);
    } catch (error) {
      log.debug({ code: errorCode(error) }, 'a profile was not copied');
    }
  }
}
