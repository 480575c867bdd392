import type { ConnectionOptions } from 'node:tls';
import type { ClusterOptions, RedisOptions } from 'ioredis';
import type { Random } from '../../platform/random.ts';
import type { RedisTarget } from './target.ts';

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

export interface ConnectionParts {
  readonly target: RedisTarget;
  readonly limits: RoleLimits;
  readonly random: Random;
  readonly connectionName: string;
  readonly tls: ConnectionOptions | undefined;
}

type SingleClientOptions = Omit<RedisOptions, 'replyMapping'>;
type ClusterClientOptions = Omit<ClusterOptions, 'redisOptions'> & {
  redisOptions: Omit<NonNullable<ClusterOptions['redisOptions']>, 'replyMapping'>;
};

/** A cluster sends a command on at most this often when slots move. */
const REDIRECTIONS_MAX = 5;
/** A script whose slot is half moved may be tried again this much later. */
const HALF_MOVED_RETRY_MS = 20;
/** A stream that the other end does not close is destroyed after this: a frozen master never does. */
const DISCONNECT_MS = 200;

/** Options of ioredis 6 for one server, a proxy or Sentinels; its defaults would resend unanswered commands (applied twice) and wait without end. */
export function singleOptions(parts: ConnectionParts): SingleClientOptions {
  const { limits, target } = parts;
  return {
    ...commonOptions(parts),
    // Who may wait does so before the command is handed to the library: what it holds cannot be told from what it has sent.
    enableOfflineQueue: false,
    commandTimeout: limits.commandTimeoutMs,
    retryStrategy: (attempt) => retryDelayMs(attempt, parts.random),
    // After a failover the old master answers READONLY: leave it. The command is not resent, its caller decides.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
    db: target.database,
    ...(target.mode === 'Sentinel' ? sentinelOptions(parts) : target.nodes[0]),
  };
}

/** A Sentinel that is asked must answer within the limits of a connection; whom they call the master is asked again at each reconnect. */
function sentinelOptions({ target, limits, random, tls }: ConnectionParts): SingleClientOptions {
  return {
    sentinels: target.nodes.map(({ host, port }) => ({ host, port })),
    ...(target.master === undefined ? {} : { name: target.master }),
    role: 'master',
    // Hears of a failover from the Sentinels: a frozen master would never close the connection.
    failoverDetector: true,
    disconnectTimeout: DISCONNECT_MS,
    sentinelCommandTimeout: limits.connectTimeoutMs,
    sentinelRetryStrategy: (attempt) => retryDelayMs(attempt, random),
    sentinelReconnectStrategy: (attempt) => retryDelayMs(attempt, random),
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls } : {}),
  };
}

/**
 * Options of ioredis 6 for a cluster. Only what a server refused without applying it is sent on (MOVED, ASK, TRYAGAIN); a lost connection or CLUSTERDOWN is an error at once.
 * Time limits of commands are not the library's: its own would also cut short the connections that read the slots.
 */
export function clusterOptions(parts: ConnectionParts): ClusterClientOptions {
  const { limits, random } = parts;
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    scaleReads: 'master',
    maxRedirections: REDIRECTIONS_MAX,
    // 0 is what keeps an unanswered command from being applied twice.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: HALF_MOVED_RETRY_MS,
    slotsRefreshTimeout: limits.connectTimeoutMs,
    clusterRetryStrategy: (attempt) => retryDelayMs(attempt, random),
    // A node that is lost leaves the pool, so that a cluster whose addresses have all changed is looked up again by its names.
    clusterNodeRetryStrategy: null,
    // Names stay names: they are resolved at each connection.
    dnsLookup: (address, callback) => callback(null, address),
    redisOptions: commonOptions(parts),
  };
}

function commonOptions({ limits, connectionName, tls }: ConnectionParts) {
  return {
    lazyConnect: true,
    connectionName,
    // 0 fails what is in flight when the connection breaks; with 1 it would hang until its timeout.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: limits.connectTimeoutMs,
    socketTimeout: limits.socketTimeoutMs,
    ...(tls ? { tls } : {}),
  };
}
