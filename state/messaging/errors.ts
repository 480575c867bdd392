import { defineError, type ErrorKind, errorCode, RtvoiceError } from '../../platform/errors.ts';
import type { WriteOutcome } from '../outbox/ports.ts';

export const MESSAGING_UNAVAILABLE = defineError('ERR_MESSAGING_UNAVAILABLE', {
  status: 503,
  message: 'the message broker takes or gives nothing now',
  remedy: 'Records wait in the outbox (or in the queue) meanwhile. Look at the cause, the namespace and the network.',
});
export const MESSAGING_DENIED = defineError('ERR_MESSAGING_DENIED', {
  status: 503,
  message: 'the message broker refuses this identity',
  remedy:
    'Give it the roles Azure Service Bus Data Sender and Data Receiver on the queue, or mend the connection string.',
});
export const MESSAGING_ENTITY_MISSING = defineError('ERR_MESSAGING_ENTITY_MISSING', {
  status: 503,
  message: 'the queue is not there or is disabled',
  remedy: 'Create the named queue with sessions and duplicate detection, as docs/messaging.md shows, or enable it.',
});
export const MESSAGING_FULL = defineError('ERR_MESSAGING_FULL', {
  status: 503,
  message: 'the queue is full',
  remedy:
    'See why nothing empties it (`rtvoice_messaging_settled_total`), then raise its size. Records wait in the outbox.',
});
export const MESSAGING_QUEUE_UNFIT = defineError('ERR_MESSAGING_QUEUE_UNFIT', {
  status: 503,
  message: 'the queue does not allow what rtvoice needs',
  remedy: 'Recreate it with `requiresSession`; a queue cannot be changed to have sessions.',
});
export const MESSAGING_BACKLOG = defineError('ERR_MESSAGING_BACKLOG', {
  status: 503,
  message: 'the queue holds too many messages to look through',
  remedy: 'Wait until the archivers have worked it off, or run more of them.',
});

const KINDS: Readonly<Record<string, ErrorKind>> = {
  UnauthorizedAccess: MESSAGING_DENIED,
  MessagingEntityNotFound: MESSAGING_ENTITY_MISSING,
  MessagingEntityDisabled: MESSAGING_ENTITY_MISSING,
  QuotaExceeded: MESSAGING_FULL,
};

/** What the SDK says went wrong, of the last of its attempts: its own codes such as `ServiceBusy`, or a system's. */
export function brokerCode(error: unknown): string {
  const last = error instanceof AggregateError ? error.errors.at(-1) : error;
  return errorCode(last);
}

/** A named error without the broker's text, which may hold names of entities and links but is not ours to judge. */
export function brokerError(error: unknown): RtvoiceError {
  if (error instanceof RtvoiceError) return error;
  const code = brokerCode(error);
  return (KINDS[code] ?? MESSAGING_UNAVAILABLE).with(code, error);
}

export const isTooLarge = (error: unknown): boolean => brokerCode(error) === 'MessageSizeExceeded';

/** No session with messages was free within the time asked for. */
export function isNoSession(error: unknown): boolean {
  return ['ServiceTimeout', 'OperationTimeoutError', 'SessionCannotBeLocked'].includes(brokerCode(error));
}

/** Of a send that failed for another reason than its size: the outbox keeps the record and tries again. */
export function sendOutcome(error: unknown): WriteOutcome {
  const code = brokerCode(error);
  const throttled = code === 'ServiceBusy' || code === 'QuotaExceeded';
  // Service Bus asks to wait ten seconds after it has throttled a namespace (docs: service-bus-throttling).
  return {
    kind: 'later',
    throttled,
    retryAfterMs: throttled ? THROTTLE_PAUSE_MS : undefined,
    cause: brokerError(error),
  };
}

const THROTTLE_PAUSE_MS = 10_000;
