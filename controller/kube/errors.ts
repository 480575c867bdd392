import { defineError, RtvoiceError } from '../../platform/errors.ts';
import type { KubeStatus } from './objects.ts';

export const KUBE_REQUEST = defineError('ERR_KUBE_REQUEST', {
  status: 502,
  message: 'the API server refused a request',
  remedy:
    'The detail is the server’s own; `forbidden` means that the controller’s role lacks a right of deploy/controller.yaml.',
});

export const KUBE_AWAY = defineError('ERR_KUBE_AWAY', {
  status: 503,
  message: 'the API server does not answer',
  remedy: 'Calls go on without it; the controller tries again by itself.',
});

export const KUBE_CREDENTIALS = defineError('ERR_KUBE_CREDENTIALS', {
  status: 500,
  message: 'there are no usable credentials for the API server',
  remedy: 'In a Pod mount the service account token; outside set RTVOICE_KUBECONFIG to a kubeconfig file.',
});

/** An answer of the API server that is no success. `status` is its HTTP status. */
export class KubeError extends RtvoiceError {
  /** Machine-readable word of the server such as `Conflict`, `NotFound`, `Expired`, `Invalid`. */
  readonly reason: string;
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | undefined;
  /** Fields at fault, when the object was invalid. */
  readonly causes: readonly { field: string; message: string }[];

  constructor(status: number, body: KubeStatus, what: string, retryAfterMs?: number) {
    super({ ...KUBE_REQUEST, status }, `${what}: ${body.message ?? body.reason ?? `status ${status}`}`);
    this.reason = body.reason ?? '';
    this.retryAfterMs = retryAfterMs ?? secondsToMs(body.details?.retryAfterSeconds);
    this.causes = (body.details?.causes ?? []).map(({ field = '', message = '' }) => ({ field, message }));
  }
}

const secondsToMs = (seconds: number | undefined): number | undefined =>
  seconds === undefined || seconds <= 0 ? undefined : seconds * 1000;

const statusIs = (error: unknown, status: number): boolean => error instanceof KubeError && error.status === status;

export const isNotFound = (error: unknown): boolean => statusIs(error, 404);
export const isConflict = (error: unknown): boolean => statusIs(error, 409);
/** The version that was asked for is older than what the server keeps. */
export const isGone = (error: unknown): boolean => statusIs(error, 410);
/** The object itself is at fault: the same request fails for ever. */
export const isInvalid = (error: unknown): boolean => statusIs(error, 422) || statusIs(error, 400);

/** The server has too much to do, or is just starting. */
export function isBusy(error: unknown): error is KubeError {
  return error instanceof KubeError && (error.status === 429 || error.status === 503);
}

/** Worth another try of the same request after a while. */
export function isRetryable(error: unknown): boolean {
  if (!(error instanceof KubeError)) return error instanceof RtvoiceError && error.code === KUBE_AWAY.code;
  return error.status === 429 || error.status >= 500;
}
