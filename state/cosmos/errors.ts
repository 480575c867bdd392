import { defineError, errorCode, RtvoiceError } from '../../platform/errors.ts';
import type { WriteOutcome } from '../outbox/ports.ts';

export const COSMOS_SETUP_DENIED = defineError('ERR_COSMOS_SETUP_DENIED', {
  status: 500,
  message: 'Cosmos DB containers are missing and this identity may not create them',
  remedy:
    'Create the named database and containers with the management plane (data roles of Entra cannot), or use an account key once.',
});
export const COSMOS_CONTAINER_MISMATCH = defineError('ERR_COSMOS_CONTAINER_MISMATCH', {
  status: 500,
  message: 'a Cosmos DB container is not as rtvoice needs it',
  remedy:
    'Partition key and unique keys cannot be changed in place: name another database (RTVOICE_COSMOS_DATABASE), or copy the documents to a container that `rtvoice cosmos init` has made, and drop the old one.',
});
export const COSMOS_UNAVAILABLE = defineError('ERR_COSMOS_UNAVAILABLE', {
  status: 503,
  message: 'Cosmos DB takes or gives nothing now',
  remedy: 'Records wait in the outbox meanwhile. Look at the cause, the endpoint and the network.',
});

export function statusOf(error: unknown): number | undefined {
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown };
  if (typeof code === 'number') return code;
  return typeof statusCode === 'number' ? statusCode : undefined;
}

/** The SDK hides the answer to a batch in an error without a status; what it was stands in the cause. */
export function unwrapped(error: unknown): unknown {
  if (!(error instanceof Error) || 'code' in error) return error;
  return error.cause ?? error;
}

/** Statuses that no retry will change: the document itself is at fault. Anything else may pass, so the record waits. */
const POISON: ReadonlyMap<number, string> = new Map([
  [400, 'the document is not valid (400)'],
  [413, 'the document is too large (413)'],
]);

export function outcomeOf(error: unknown): WriteOutcome {
  const status = statusOf(error);
  const reason = status === undefined ? undefined : POISON.get(status);
  if (reason !== undefined) return { kind: 'refused', reason };
  const { retryAfterInMs } = (error ?? {}) as { retryAfterInMs?: unknown };
  const retryAfterMs = typeof retryAfterInMs === 'number' ? retryAfterInMs : undefined;
  // What of an SDK error may be logged: a status or a code, never its text, which can quote the document.
  const detail = status === undefined ? errorCode(error) : `status ${status}`;
  const cause = error instanceof RtvoiceError ? error : COSMOS_UNAVAILABLE.with(detail, error);
  return { kind: 'later', throttled: status === 429, retryAfterMs, cause };
}
