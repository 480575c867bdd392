import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { forbidden, unauthorized } from './http_error.ts';

/** True when the bearer token is one this account accepts. */
export type VerifyToken = (token: string) => Promise<boolean> | boolean;

export type Caller = 'masterKey' | 'entra';

const DATE_SKEW_MS = 15 * 60_000;

/** `type=master` signatures over verb, resource type, resource link and date; `type=aad` tokens. Nothing else gets in. */
export async function authenticate(
  request: IncomingMessage,
  segments: readonly string[],
  options: { masterKey: string; verifyToken?: VerifyToken | undefined },
): Promise<Caller> {
  const header = request.headers.authorization;
  if (!header)
    throw unauthorized('Required Header authorization is missing. Ensure a valid Authorization token is passed.');
  const { type, sig } = parse(header);
  if (type === 'aad') {
    if (!options.verifyToken || !(await options.verifyToken(sig))) throw unauthorized('The AAD token is not accepted.');
    return 'entra';
  }
  if (type !== 'master') throw unauthorized('The input authorization token cannot be used: unknown type.');
  const date = String(request.headers['x-ms-date'] ?? '');
  const ageMs = Math.abs(Date.now() - Date.parse(date));
  if (!(ageMs <= DATE_SKEW_MS)) throw forbidden('The authorization token is not valid at the current time.');
  const expected = createHmac('sha256', Buffer.from(options.masterKey, 'base64'))
    .update(stringToSign(String(request.method), segments, date))
    .digest();
  const given = Buffer.from(sig, 'base64');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw unauthorized(
      'The input authorization token cannot serve the request. The wrong key is being used or the expected payload is not built as per the protocol.',
    );
  }
  return 'masterKey';
}

/** Odd paths name a collection of resources (the link is its parent), even ones a resource. */
export function stringToSign(verb: string, segments: readonly string[], date: string): string {
  const feed = segments.length % 2 === 1;
  const type = (feed ? segments.at(-1) : segments.at(-2)) ?? '';
  const link = (feed ? segments.slice(0, -1) : segments).join('/');
  return `${verb.toLowerCase()}\n${type.toLowerCase()}\n${link}\n${date.toLowerCase()}\n\n`;
}

function parse(header: string): { type: string; sig: string } {
  const fields = new Map<string, string>();
  for (const part of decodeURIComponent(header).split('&')) {
    // Signatures are base64 and may hold `=`.
    const at = part.indexOf('=');
    fields.set(part.slice(0, at), part.slice(at + 1));
  }
  if (fields.get('ver') !== '1.0') throw unauthorized('The authorization token has an unknown version.');
  return { type: fields.get('type') ?? '', sig: fields.get('sig') ?? '' };
}
