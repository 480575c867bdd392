/** What one request gets. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error in the form of Azure Resource Manager. */
export function refusal(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { status, body: { error: { code, message } }, headers };
}

export const notFound = (path: string): Answer =>
  refusal(404, 'ResourceNotFound', `The Resource '${path}' was not found.`);

export const throttled = (retryAfterSeconds: number): Answer =>
  refusal(429, 'TooManyRequests', 'The request limit is reached.', { 'retry-after': String(retryAfterSeconds) });

export function unauthenticated(audience: string): Answer {
  const challenge = `Bearer authorization_uri="https://login.windows.net/", error="invalid_token", error_description="The audience must be ${audience}"`;
  return refusal(401, 'InvalidAuthenticationToken', 'The access token is invalid.', { 'www-authenticate': challenge });
}

export const unauthorized = (action: string, scope: string): Answer =>
  refusal(
    403,
    'AuthorizationFailed',
    `The client does not have authorization to perform action '${action}' over scope '${scope}'.`,
  );
