import { readFile } from 'node:fs/promises';
import type { TokenCredential } from '@azure/identity';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import { type Random, systemRandom } from '../../platform/random.ts';
import type { KeyLayout } from '../keys/key_manager.ts';
import { type CredentialSource, staticCredentials } from './credentials.ts';
import { EntraCredentials } from './entra_credentials.ts';
import { PasswordFile } from './password_file.ts';
import type { REDIS_SETTINGS } from './settings.ts';
import { keyLayoutOf, parseRedisTarget, REDIS_TARGET_INVALID, type RedisTarget } from './target.ts';

/** What the Redis clients of one process share. Spread `target`, `credentials` and `tlsCa` into the options of each. */
export interface RedisAccess {
  readonly target: RedisTarget;
  readonly credentials: CredentialSource;
  readonly tlsCa?: string;
  /** The layout that the mode needs, for the key manager. */
  readonly layout: KeyLayout;
}

export interface RedisAccessOptions {
  readonly config: Config<typeof REDIS_SETTINGS>;
  /** Called for Entra only: loading the identity library is slow. */
  readonly tokenCredential: () => Promise<TokenCredential>;
  readonly clock: Clock;
  readonly log: Log;
  readonly registry: Registry;
  readonly random?: Random;
}

/** Reads the settings and opens what they name. Fails with ERR_REDIS_TARGET_INVALID or ERR_REDIS_PASSWORD_FILE. Whoever calls closes the credentials, after the clients. */
export async function openRedisAccess(options: RedisAccessOptions): Promise<RedisAccess> {
  const { config } = options;
  const target = parseRedisTarget(config.redisMode, config.redisUrl);
  checkAuthentication(config, target);
  const tlsCa = config.redisTlsCaFile === undefined ? undefined : await readAuthority(config.redisTlsCaFile);
  const credentials = await openCredentials(options, target);
  return { target, credentials, layout: keyLayoutOf(target.mode), ...(tlsCa === undefined ? {} : { tlsCa }) };
}

function checkAuthentication(config: RedisAccessOptions['config'], target: RedisTarget): void {
  const { redisPasswordFile: file, redisTlsCaFile: authority, redisUser: user } = config;
  const two = target.password !== undefined && file !== undefined;
  if (two) throw REDIS_TARGET_INVALID.with('RTVOICE_REDIS_URL and RTVOICE_REDIS_PASSWORD_FILE both give a password');
  if (authority !== undefined && !target.tls) {
    throw REDIS_TARGET_INVALID.with('RTVOICE_REDIS_TLS_CA_FILE is set, but RTVOICE_REDIS_URL is not rediss://');
  }
  if (config.redisAuthentication === 'Entra') {
    if (!target.tls) throw REDIS_TARGET_INVALID.with('RTVOICE_REDIS_AUTHENTICATION Entra needs a rediss:// URL');
    if (target.password !== undefined || file !== undefined) {
      throw REDIS_TARGET_INVALID.with(
        'RTVOICE_REDIS_AUTHENTICATION Entra takes no password, neither in the URL nor in a file',
      );
    }
    return;
  }
  if (user !== undefined && file === undefined) {
    throw REDIS_TARGET_INVALID.with(
      'RTVOICE_REDIS_USER is set without RTVOICE_REDIS_PASSWORD_FILE; write the user into RTVOICE_REDIS_URL',
    );
  }
}

async function openCredentials(options: RedisAccessOptions, target: RedisTarget): Promise<CredentialSource> {
  const { config, clock, log, registry, random = systemRandom } = options;
  const user = config.redisUser ?? target.user;
  if (config.redisAuthentication === 'Entra') {
    const credential = await options.tokenCredential();
    return new EntraCredentials({ credential, objectId: user, clock, random, log, registry });
  }
  const path = config.redisPasswordFile;
  return path === undefined ? staticCredentials(target) : PasswordFile.open({ path, user, clock, log });
}

async function readAuthority(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw REDIS_TARGET_INVALID.with(`RTVOICE_REDIS_TLS_CA_FILE ${path} cannot be read (${errorCode(cause)})`, cause);
  }
}
