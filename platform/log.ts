import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';

export type Log = Logger;

/** Paths that never reach a log line: secrets, and what could identify a caller (values are logged under `pii`). */
const REDACTED = [
  'pii',
  '*.pii',
  'authorization',
  '*.authorization',
  'token',
  '*.token',
  'incomingCallContext',
  '*.incomingCallContext',
];

/** JSON lines on standard error, so that standard output stays free for a command's result. */
export function createLog(options: { process: string; level?: string; destination?: DestinationStream }): Log {
  return pino(
    {
      level: options.level ?? 'info',
      base: { process: options.process },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '[redacted]' },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  );
}

/** For library use and tests: says nothing. */
export const silentLog: Log = pino({ level: 'silent' });
