import type { RedisOptions } from 'ioredis';
import type { Random } from '../../platform/random.ts';

/**
 * `fastFail`: the call path; a command that cannot be sent or is not answered at once is an error, since audio must not wait for it.
 * `patient`: background work; commands wait for a connection, up to the command timeout.
 */
export type RedisRole = 'fastFail' | 'patient';

export interface RoleLimits {
  readonly commandTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly socketTimeoutMs: number;
  readonly maxInFlight: number;
}

export const ROLE_LIMITS: Readonly<Record<RedisRole, RoleLimits>> = {
  fastFail: { commandTimeoutMs: 200, connectTimeoutMs: 1000, socketTimeoutMs: 1000, maxInFlight: 4096 },
  patient: { commandTimeoutMs: 10_000, connectTimeoutMs: 2000, socketTimeoutMs: 3000, maxInFlight: 1024 },
};

const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 500;

/** Doubles from 50 to 500 ms; the jitter keeps a fleet from coming back in step. */
export function retryDelayMs(attempt: number, random: Random): number {
  const ceilingMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(attempt, 10));
  return Math.round(RETRY_MIN_MS + (ceilingMs - RETRY_MIN_MS) * random.fraction());
}

/** Options of ioredis 6 for a role; its defaults would resend unanswered commands (applied twice) and wait without end. */
export function clientOptions(options: {
  role: RedisRole;
  limits: RoleLimits;
  random: Random;
  connectionName: string;
  tls?: { ca?: string; secure: boolean };
}): Omit<RedisOptions, 'replyMapping'> {
  const { role, limits, random } = options;
  return {
    lazyConnect: true,
    connectionName: options.connectionName,
    enableOfflineQueue: role === 'patient',
    // 0 fails what is in flight when the connection breaks; with 1 it would hang until its timeout.
    maxRetriesPerRequest: role === 'patient' ? null : 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: limits.commandTimeoutMs,
    connectTimeout: limits.connectTimeoutMs,
    socketTimeout: limits.socketTimeoutMs,
    retryStrategy: (attempt) => retryDelayMs(attempt, random),
    // After a failover the old master answers READONLY: leave it. The command is not resent, its caller decides.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
    ...(options.tls?.secure
      ? { tls: { minVersion: 'TLSv1.3' as const, ...(options.tls.ca ? { ca: options.tls.ca } : {}) } }
      : {}),
  };
}
