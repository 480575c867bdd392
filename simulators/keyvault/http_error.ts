/** An answer of the service that is an error: status, code and message in its wording. */
export class VaultHttpError extends Error {
  readonly status: number;
  readonly code: string;
  /** A closer code, for example `KeyDisabled`. */
  readonly inner: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    more: { inner?: string; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.name = 'VaultHttpError';
    this.status = status;
    this.code = code;
    this.inner = more.inner;
    this.headers = more.headers ?? {};
  }

  get body(): unknown {
    const innererror = this.inner === undefined ? {} : { innererror: { code: this.inner } };
    return { error: { code: this.code, message: this.message, ...innererror } };
  }
}

export const badParameter = (message: string) => new VaultHttpError(400, 'BadParameter', message);
export const keyNotFound = (name: string) =>
  new VaultHttpError(
    404,
    'KeyNotFound',
    `A key with (name/id) ${name} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command.`,
  );
export const keyDisabled = () =>
  new VaultHttpError(403, 'Forbidden', 'Operation is not allowed on a disabled key.', { inner: 'KeyDisabled' });
export const notPermitted = (operation: string) =>
  new VaultHttpError(403, 'Forbidden', `Operation "${operation}" is not permitted on this key.`, {
    inner: 'KeyOperationForbidden',
  });
export const deletedButRecoverable = (name: string) =>
  new VaultHttpError(
    409,
    'Conflict',
    `Key ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged.`,
    { inner: 'ObjectIsDeletedButRecoverable' },
  );
export const throttled = (retryAfterSeconds: number) =>
  new VaultHttpError(
    429,
    'Throttled',
    'Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached',
    { headers: { 'retry-after': String(retryAfterSeconds) } },
  );
export const unavailable = () =>
  new VaultHttpError(503, 'ServiceUnavailable', 'The service is temporarily unavailable.');
