/** An answer of the service that is an error: status, code and message in its wording. */
export class CosmosHttpError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
  /** More members of the body. */
  readonly more: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    code: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
    more: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.more = more;
    this.name = 'CosmosHttpError';
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

export const badRequest = (message: string) => new CosmosHttpError(400, 'BadRequest', message);
export const unauthorized = (message: string) => new CosmosHttpError(401, 'Unauthorized', message);
export const forbidden = (message: string) => new CosmosHttpError(403, 'Forbidden', message);
export const notFound = (message: string) => new CosmosHttpError(404, 'NotFound', message, { 'x-ms-substatus': '0' });
export const conflict = (message: string) => new CosmosHttpError(409, 'Conflict', message);
export const preconditionFailed = () =>
  new CosmosHttpError(
    412,
    'PreconditionFailed',
    'Operation cannot be performed because one of the specified precondition is not met.',
  );
export const tooLarge = (message: string) => new CosmosHttpError(413, 'RequestEntityTooLarge', message);
export const throttled = (retryAfterMs: number) =>
  new CosmosHttpError(429, 'TooManyRequests', 'The request rate is too large. Please retry after sometime.', {
    'x-ms-retry-after-ms': String(retryAfterMs),
    'x-ms-substatus': '3200',
  });
/** The partition key range is not where the client thinks. */
export const gone = () =>
  new CosmosHttpError(410, 'Gone', 'The requested resource is no longer available at the server.', {
    'x-ms-substatus': '1002',
  });
