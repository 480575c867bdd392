/** Refusal in the form Entra ID gives: RFC 6749 `error` with an AADSTS code. */
export interface TokenError {
  status: number;
  error: string;
  code: `AADSTS${number}`;
  description: string;
}

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const DEFAULT_SCOPE = '/.default';

/** Judges a client-credentials request with a federated assertion (RFC 7523); gives the audience that the token is for. */
export async function judgeTokenRequest(
  form: URLSearchParams,
  expected: { clientId: string; isAssertionGood(assertion: string): Promise<boolean> },
): Promise<{ audience: string } | TokenError> {
  const refused = (code: TokenError['code'], error: string, description: string): TokenError => ({
    status: error === 'invalid_client' || error === 'unauthorized_client' ? 401 : 400,
    error,
    code,
    description,
  });
  if (form.get('grant_type') !== 'client_credentials')
    return refused('AADSTS70003', 'unsupported_grant_type', 'only client_credentials is supported');
  if (form.get('client_id') !== expected.clientId)
    return refused('AADSTS700016', 'unauthorized_client', 'the application was not found in the tenant');
  if (form.get('client_assertion_type') !== ASSERTION_TYPE)
    return refused('AADSTS7000216', 'invalid_request', 'client_assertion_type is missing or wrong');
  const assertion = form.get('client_assertion');
  if (!assertion || !(await expected.isAssertionGood(assertion)))
    return refused('AADSTS700213', 'invalid_client', 'no federated identity record matches the assertion');
  // MSAL adds the OpenID scopes of its own to the one asked for.
  const scope = (form.get('scope') ?? '').split(' ').find((name) => name.endsWith(DEFAULT_SCOPE));
  if (!scope)
    return refused('AADSTS1002012', 'invalid_scope', 'client credentials need one scope that ends with /.default');
  return { audience: scope.slice(0, -DEFAULT_SCOPE.length) };
}
