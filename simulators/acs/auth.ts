import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { AcsError } from './errors.ts';

const DATE_SKEW_MS = 15 * 60_000;
const HMAC = /^HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=([A-Za-z0-9+/=]+)$/;

export interface SignedRequest {
  method: string;
  /** Path and query as sent. */
  target: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Access key (HMAC) or Entra token; nothing else gets in. Throws a 401. */
export async function authenticate(
  request: SignedRequest,
  options: { accessKey: string; verifyToken(token: string): Promise<boolean> },
): Promise<'accessKey' | 'entra'> {
  const authorization = request.headers.authorization ?? '';
  if (authorization.startsWith('Bearer ')) {
    if (await options.verifyToken(authorization.slice('Bearer '.length))) return 'entra';
    throw new AcsError(401, 'Unauthorized', 'The token is not accepted.');
  }
  const signature = HMAC.exec(authorization)?.[1];
  if (signature === undefined) throw new AcsError(401, 'Unauthorized', 'No credentials that this resource knows.');
  const reason = hmacFault(request, signature, options.accessKey);
  if (reason !== undefined) throw new AcsError(401, '7509', `HMAC error: ${reason}.`);
  return 'accessKey';
}

function hmacFault(request: SignedRequest, signature: string, accessKey: string): string | undefined {
  const date = String(request.headers['x-ms-date'] ?? '');
  const contentHash = String(request.headers['x-ms-content-sha256'] ?? '');
  if (!(Math.abs(Date.now() - Date.parse(date)) <= DATE_SKEW_MS)) return 'x-ms-date is missing or too far off';
  if (createHash('sha256').update(request.body).digest('base64') !== contentHash) return 'the content hash differs';
  const text = `${request.method}\n${request.target}\n${date};${request.headers.host ?? ''};${contentHash}`;
  const expected = createHmac('sha256', Buffer.from(accessKey, 'base64')).update(text).digest();
  const given = Buffer.from(signature, 'base64');
  return given.length === expected.length && timingSafeEqual(given, expected) ? undefined : 'the signature differs';
}
