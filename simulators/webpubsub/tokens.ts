import { jwtVerify, SignJWT } from 'jose';
import type { VerifyToken } from '../servicebus/claims.ts';

const AUDIENCES = ['https://webpubsub.azure.com'];

/** What a client's token says. */
export interface ClientClaims {
  readonly userId: string | undefined;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
}

const strings = (value: unknown): string[] => [value ?? []].flat().map(String);
const withoutQuery = (url: string): string => url.replace(/\?.*$/, '');

/** Tokens of one Web PubSub resource: HS256 with its access key, or Entra's for its REST interface. */
export class PubSubTokens {
  readonly #key: Uint8Array;
  readonly #verifyToken: VerifyToken | undefined;

  constructor(accessKey: string, verifyToken: VerifyToken | undefined) {
    this.#key = new TextEncoder().encode(accessKey);
    this.#verifyToken = verifyToken;
  }

  /** A request to the REST interface; the audience of a signed token is its URL. */
  async mayRequest(token: string, url: string): Promise<boolean> {
    if (await this.#claims(token, url)) return true;
    return (await this.#verifyToken?.(token, AUDIENCES)) ?? false;
  }

  /** A client that connects to `url`; undefined when the token is not for it. */
  async client(token: string, url: string): Promise<ClientClaims | undefined> {
    const claims = await this.#claims(token, url);
    if (!claims) return undefined;
    const { sub, role, 'webpubsub.group': group } = claims;
    return { userId: typeof sub === 'string' ? sub : undefined, roles: strings(role), groups: strings(group) };
  }

  /** For a caller of `:generateToken`, who holds no key. */
  sign(url: string, { userId, roles, groups }: ClientClaims, minutes: number): Promise<string> {
    const token = new SignJWT({ role: [...roles], 'webpubsub.group': [...groups] })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setAudience(url)
      .setIssuedAt()
      .setExpirationTime(`${minutes}m`);
    if (userId !== undefined) token.setSubject(userId);
    return token.sign(this.#key);
  }

  async #claims(token: string, url: string): Promise<Record<string, unknown> | undefined> {
    try {
      const { payload } = await jwtVerify(token, this.#key, { algorithms: ['HS256'] });
      return strings(payload.aud).some((audience) => withoutQuery(audience) === withoutQuery(url))
        ? payload
        : undefined;
    } catch {
      return undefined;
    }
  }
}
