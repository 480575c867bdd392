import { createHmac, timingSafeEqual } from 'node:crypto';

/** True when the authority issued the token for one of the audiences and it is valid now. */
export type VerifyToken = (token: string, audiences: readonly string[]) => Promise<boolean>;

export interface ClaimRules {
  readonly keyName: string;
  readonly key: string;
  /** Without it no Entra token is accepted. */
  readonly verifyToken: VerifyToken | undefined;
  readonly nowMs: () => number;
}

const AUDIENCES = ['https://servicebus.azure.net', 'https://eventhubs.azure.net'];

/** `sb://<host>/<path>` or `amqps://…` to `<path>`, in lower case as entity names are compared. */
export const pathOf = (audience: string): string =>
  decodeURIComponent(audience)
    .replace(/^[a-z]+:\/\/[^/]+\/?/i, '')
    .replace(/\/+$/, '')
    .toLowerCase();

/** Whether a put-token request proves its claim to the audience. */
export async function provesClaim(rules: ClaimRules, type: unknown, audience: string, token: string): Promise<boolean> {
  if (type === 'jwt') return (await rules.verifyToken?.(token, AUDIENCES)) ?? false;
  if (type !== 'servicebus.windows.net:sastoken') return false;
  return isSignatureGood(rules, audience, token);
}

/** Shared access signature: HMAC-SHA256 over the encoded resource and the expiry, for the resource and what is below it. */
function isSignatureGood(rules: ClaimRules, audience: string, token: string): boolean {
  if (!token.startsWith('SharedAccessSignature ')) return false;
  const fields = new Map(
    token
      .slice('SharedAccessSignature '.length)
      .split('&')
      .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const),
  );
  const [resource = '', signature = '', expiry = '', name = ''] = ['sr', 'sig', 'se', 'skn'].map((field) =>
    fields.get(field),
  );
  if (decodeURIComponent(name) !== rules.keyName || Number(expiry) * 1000 <= rules.nowMs()) return false;
  const expected = createHmac('sha256', rules.key).update(`${resource}\n${expiry}`).digest('base64');
  const given = decodeURIComponent(signature);
  if (given.length !== expected.length || !timingSafeEqual(Buffer.from(given), Buffer.from(expected))) return false;
  return covers(pathOf(resource), pathOf(audience));
}

const covers = (granted: string, path: string): boolean =>
  granted === '' || granted === path || path.startsWith(`${granted}/`);

/** What one connection has proved. */
export class Claims {
  readonly #paths = new Set<string>();

  add(audience: string): void {
    this.#paths.add(pathOf(audience));
  }

  allow(address: string): boolean {
    const path = pathOf(address);
    // Event Hubs attaches to the plain `$management`; the claim names the hub.
    if (path === '$management') return [...this.#paths].some((claim) => claim.endsWith('/$management'));
    return [...this.#paths].some((claim) => covers(claim, path));
  }
}
