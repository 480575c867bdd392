import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import type { Random } from '../../platform/random.ts';
import type { CredentialSource } from './credentials.ts';
import type { RedisRole, RoleLimits } from './options.ts';
import type { RedisTarget } from './target.ts';

interface ClientParts {
  role: RedisRole;
  clock: Clock;
  log: Log;
  registry: Registry;
  random?: Random;
  /** Who connects; without it the user and password of the target. Shared by the clients of a process, and closed by whoever made it. */
  credentials?: CredentialSource;
  /** PEM text of the authority that signed the server's certificate, for `rediss://`. */
  tlsCa?: string;
  /** Shows in CLIENT LIST. */
  name?: string;
  limits?: Partial<RoleLimits>;
}

/** `url`: a standalone server. `target`: any form of Redis. */
export type RedisClientOptions = ClientParts & ({ url: string } | { target: RedisTarget });
