import { randomUUID } from 'node:crypto';
import { createLocalJWKSet, exportJWK, generateKeyPair, type JWK, jwtVerify, SignJWT } from 'jose';

/** An issuer's RS256 keys: the newest signs, every key not yet withdrawn verifies. */
export interface SigningKeys {
  /** A compact JWS over `claims` with `iat`, `nbf`, `exp` and a new `jti`. */
  sign(claims: { iss: string; aud: string; [name: string]: unknown }, lifeSeconds: number): Promise<string>;
  /** The published key set. */
  jwks(): { keys: JWK[] };
  /** The claims when signature, times, issuer and audience are good; undefined otherwise. */
  verify(token: string, expected: { issuer: string; audience: string[] }): Promise<Record<string, unknown> | undefined>;
  /** Signs with a new key from now on; the older ones stay published, or are withdrawn. */
  rotate(options?: { withdraw?: boolean }): Promise<void>;
}

interface Key {
  kid: string;
  privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];
  jwk: JWK;
}

export async function createSigningKeys(): Promise<SigningKeys> {
  let keys = [await newKey()];
  return {
    async sign(claims, lifeSeconds) {
      const [key] = keys;
      if (!key) throw new Error('no signing key');
      const nowSeconds = Math.floor(Date.now() / 1000);
      return new SignJWT({ jti: randomUUID(), ...claims })
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: key.kid })
        .setIssuedAt(nowSeconds)
        .setNotBefore(nowSeconds)
        .setExpirationTime(nowSeconds + lifeSeconds)
        .sign(key.privateKey);
    },
    jwks: () => ({ keys: keys.map(({ jwk }) => jwk) }),
    async verify(token, { issuer, audience }) {
      try {
        const set = createLocalJWKSet({ keys: keys.map(({ jwk }) => jwk) });
        const { payload } = await jwtVerify(token, set, { algorithms: ['RS256'], issuer, audience, clockTolerance: 5 });
        return payload;
      } catch {
        // Whatever is wrong with it, the token is not ours to accept.
        return undefined;
      }
    },
    async rotate({ withdraw = false } = {}) {
      const key = await newKey();
      keys = withdraw ? [key] : [key, ...keys];
    },
  };
}

async function newKey(): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { modulusLength: 2048 });
  const kid = randomUUID();
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' } };
}
