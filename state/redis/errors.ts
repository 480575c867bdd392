import { defineError, type ErrorKind, RtvoiceError } from '../../platform/errors.ts';

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

/** True when the error says that Redis itself is away, not that the command was wrong. */
export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof RtvoiceError)) return false;
  return error.code === REDIS_UNAVAILABLE.code || error.code === REDIS_TIMEOUT.code;
}
