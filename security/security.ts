import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Registry } from '../platform/metrics.ts';
import { type AcsJwt, createAcsJwt } from './acs_jwt.ts';
import { type AuthFailures, createAuthFailures } from './auth_failures.ts';
import { type CallTokens, createCallTokens } from './call_tokens.ts';
import { createEventGridAuth, type EventGridAuth } from './event_grid.ts';
import { createInternalKeys, type InternalKeys } from './internal_keys.ts';

/** Everything a worker's listeners authenticate with. */
export interface Security {
  readonly callTokens: CallTokens;
  readonly acsJwt: AcsJwt;
  readonly eventGrid: EventGridAuth;
  readonly internalKeys: InternalKeys;
  readonly failures: AuthFailures;
}

/** The fields are those of the worker's settings of the same names. */
export interface SecurityConfig {
  callTokenKeys: readonly string[];
  acsIssuer: string;
  acsResourceId: string;
  acsJwksUrl: string;
  eventGridKeys: readonly string[];
  eventGridTopic: string;
  internalKeys: readonly string[];
}

export function createSecurity(options: {
  config: SecurityConfig;
  registry: Registry;
  log: Log;
  clock: Clock;
}): Security {
  const { config, registry, log, clock } = options;
  return {
    callTokens: createCallTokens({ keys: config.callTokenKeys, clock }),
    acsJwt: createAcsJwt({
      issuer: config.acsIssuer,
      audience: config.acsResourceId,
      jwksUrl: config.acsJwksUrl,
      clock,
    }),
    eventGrid: createEventGridAuth({ keys: config.eventGridKeys, topic: config.eventGridTopic }),
    internalKeys: createInternalKeys(config.internalKeys),
    failures: createAuthFailures({ registry, log, clock }),
  };
}
