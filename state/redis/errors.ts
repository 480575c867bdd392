import { defineError, type ErrorKind, errorCode, RtvoiceError } from '../../platform/errors.ts';

export const REDIS_UNAVAILABLE = defineError('ERR_REDIS_UNAVAILABLE', {
  status: 503,
  message: 'Redis cannot be reached',
  remedy: 'Check that the server runs and that RTVOICE_REDIS_URL names it; calls go on from memory meanwhile.',
});

export const REDIS_TIMEOUT = defineError('ERR_REDIS_TIMEOUT', {
  status: 503,
  message: 'Redis did not answer in time; the command may or may not have been applied',
  remedy: 'Check the load of the server and the network to it.',
});

export const REDIS_OVERLOADED = defineError('ERR_REDIS_OVERLOADED', {
  status: 503,
  message: 'too many Redis commands are in flight on this connection',
  remedy: 'Redis answers more slowly than commands come; look at its latency and at what sends so many.',
});

export const REDIS_FULL = defineError('ERR_REDIS_FULL', {
  status: 503,
  message: 'Redis refuses writes because its memory limit is reached',
  remedy: 'Raise maxmemory or scale the Redis tier; see the condition RedisScaleNeeded.',
});

export const REDIS_DENIED = defineError('ERR_REDIS_DENIED', {
  status: 500,
  message: 'Redis refuses this user',
  remedy: 'Check user, password or token, and that the ACL allows the key prefix of this environment.',
});

export const REDIS_COMMAND = defineError('ERR_REDIS_COMMAND', {
  status: 500,
  message: 'Redis answered a command with an error',
  remedy: 'The cause holds the text of the server; a wrong type means that something else writes our keys.',
});

export const REDIS_TLS_VERSION = defineError('ERR_REDIS_TLS_VERSION', {
  status: 503,
  message: 'Redis does not offer TLS 1.3, and nothing older is spoken to it',
  remedy:
    'Allow TLS 1.3 at the server (`tls-protocols "TLSv1.3"`; Azure Managed Redis does), or at what stands before it.',
});

export const REDIS_CERTIFICATE = defineError('ERR_REDIS_CERTIFICATE', {
  status: 503,
  message: 'the certificate of Redis is not trusted',
  remedy:
    'Let RTVOICE_REDIS_TLS_CA_FILE name the authority that signed it, and RTVOICE_REDIS_URL the host that it names.',
});

export const REDIS_PASSWORD_FILE = defineError('ERR_REDIS_PASSWORD_FILE', {
  status: 500,
  message: 'the file with the Redis password cannot be used',
  remedy: 'Let RTVOICE_REDIS_PASSWORD_FILE name a readable file that holds the password and nothing else.',
});

export const REDIS_TOKEN = defineError('ERR_REDIS_TOKEN', {
  status: 503,
  message: 'Microsoft Entra ID gave no token for Redis',
  remedy:
    'Check the workload identity of the Pod, and that it has an access policy assignment in the Redis instance. The old token is used until it ends.',
});

/** First words of a server's error reply, and what each means to us; the first that matches decides. */
const REPLIES: readonly (readonly [RegExp, ErrorKind])[] = [
  [/^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|UNKILLABLE|BUSY) /, REDIS_UNAVAILABLE],
  [/^OOM |OOM command not allowed/, REDIS_FULL],
  [/^(NOAUTH|WRONGPASS|NOPERM)/, REDIS_DENIED],
];

/** One of the named errors of this file, with the client's own error as its cause. `op` is a command or script name. */
export function redisError(op: string, error: unknown): RtvoiceError {
  if (error instanceof RtvoiceError) return error;
  const message = error instanceof Error ? error.message : String(error);
  // ioredis hangs the arguments of the command on its errors: callers' data, which must not reach a log.
  if (error instanceof Error && 'command' in error) delete error.command;
  if (message === 'Command timed out') return REDIS_TIMEOUT.with(op, error);
  const isReply = error instanceof Error && error.name === 'ReplyError';
  if (!isReply) return REDIS_UNAVAILABLE.with(op, error);
  const kind = REPLIES.find(([pattern]) => pattern.test(message))?.[1] ?? REDIS_COMMAND;
  return kind.with(op, error);
}

/**
 * True when the error tells of the server as a whole and not of one command or slot: no reply, a lost connection, a server that says of itself that it cannot serve.
 * `slots`: the server has slots; there CLUSTERDOWN, TRYAGAIN and READONLY are words about one of them.
 */
export function isNodeAway(error: unknown, slots: boolean): boolean {
  if (!isRedisAway(error)) return false;
  const text = error instanceof Error && error.cause instanceof Error ? error.cause.message : '';
  return !(slots && /^(CLUSTERDOWN|TRYAGAIN|READONLY) |Too many Cluster redirections/.test(text));
}

/** True when the error says that Redis itself is away, not that the command was wrong. */
export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof RtvoiceError)) return false;
  return error.code === REDIS_UNAVAILABLE.code || error.code === REDIS_TIMEOUT.code;
}

/** How a command that failed is counted. */
export function commandResult(error: unknown): 'error' | 'timeout' | 'unavailable' {
  if (!isRedisAway(error)) return 'error';
  return errorCode(error) === REDIS_TIMEOUT.code ? 'timeout' : 'unavailable';
}

/** Both ends name the same fault in their own words: the server's alert 70, and ours when the server picks an older version. */
const TLS_VERSION_FAULTS: ReadonlySet<unknown> = new Set([
  'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  'ERR_SSL_UNSUPPORTED_PROTOCOL',
  'ERR_SSL_WRONG_SSL_VERSION',
]);

const CERTIFICATE_FAULT = /^(CERT_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT_)/;

/** The named error of a connection that fails on what somebody has to set right: TLS version, certificate, or a user that is refused. Undefined for any other fault. */
export function setupFault(cause: Error | undefined): RtvoiceError | undefined {
  if (cause === undefined || cause instanceof RtvoiceError) return cause;
  const { code, lastNodeError } = cause as { code?: unknown; lastNodeError?: unknown };
  if (TLS_VERSION_FAULTS.has(code)) return REDIS_TLS_VERSION.with(String(code), cause);
  if (typeof code === 'string' && CERTIFICATE_FAULT.test(code)) return REDIS_CERTIFICATE.with(code, cause);
  // A cluster of which no node can be asked hangs the last fault on its own.
  if (lastNodeError instanceof Error) return setupFault(lastNodeError);
  const named = cause.name === 'ReplyError' ? redisError('connection', cause) : undefined;
  return named?.code === REDIS_DENIED.code ? named : undefined;
}
