import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';

export type Log = Logger;

/** Attributes whose value never reaches a log line: secrets, and what could identify a caller (such values are logged under `pii`). */
const REDACTED_ATTRIBUTES = [
  'pii',
  'authorization',
  'password',
  'secret',
  'token',
  'incomingCallContext',
  'phoneNumber',
  'rawId',
  'callerId',
  'ring',
  'transcript',
  'utterance',
];

/** At the top, and inside an attribute such as an error. A third level would more than double the cost of every line. */
export const REDACTED_PATHS: readonly string[] = REDACTED_ATTRIBUTES.flatMap((name) => [name, `*.${name}`]);

/** JSON lines on standard error, so that standard output stays free for a command's result. */
export function createLog(options: { process: string; level?: string; destination?: DestinationStream }): Log {
  return pino(
    {
      level: options.level ?? 'info',
      base: { process: options.process },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...REDACTED_PATHS], censor: '[redacted]' },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  );
}

/** For library use and tests: says nothing. */
export const silentLog: Log = pino({ level: 'silent' });
