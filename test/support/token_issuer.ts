import { KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

export const ISSUER = 'https://acscallautomation.communication.azure.com';
export const AUDIENCE = '3f5c0d8e-0000-4000-8000-000000000001';

export interface TokenChanges {
  /** `RS256` unless told otherwise. */
  algorithm?: 'RS256' | 'RS512' | 'PS256';
  keyId?: string;
  claims?: Record<string, unknown>;
  /** Unix seconds; null leaves the claim out. */
  expiresAt?: number | null;
}

/** An issuer of ACS-like tokens with a key set of its own on loopback. */
export interface TokenIssuer {
  readonly url: string;
  readonly fetches: number;
  /** Keys that are published from now on, by id; a missing one is made. */
  publish(...keyIds: string[]): Promise<void>;
  /** While down, connections are cut without an answer. */
  setDown(down: boolean): void;
  /** A good token unless told otherwise; `keyId` need not be published. */
  token(changes?: TokenChanges): Promise<string>;
  publicPem(keyId: string): Promise<string>;
  close(): Promise<void>;
}

const pairs = new Map<string, Promise<KeyPair>>();
const pairOf = (keyId: string): Promise<KeyPair> => {
  const known = pairs.get(keyId) ?? generateKeyPair('RS256', { extractable: true });
  pairs.set(keyId, known);
  return known;
};

export async function startTokenIssuer(): Promise<TokenIssuer> {
  let keys: unknown[] = [];
  let down = false;
  let fetches = 0;
  const server = createServer((request, response) => {
    fetches++;
    if (down) return void request.socket.destroy();
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer: TokenIssuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/calling/keys`,
    get fetches() {
      return fetches;
    },
    async publish(...keyIds) {
      keys = await Promise.all(
        keyIds.map(async (kid) => ({
          ...(await exportJWK((await pairOf(kid)).publicKey)),
          kid,
          use: 'sig',
        })),
      );
    },
    setDown(value) {
      down = value;
    },
    async token(changes = {}) {
      const {
        algorithm = 'RS256',
        keyId = 'k1',
        claims = {},
        expiresAt = Math.floor(Date.now() / 1000) + 300,
      } = changes;
      const jwt = new SignJWT({ iss: ISSUER, aud: AUDIENCE, jti: `${Math.random()}`, ...claims }).setProtectedHeader({
        alg: algorithm,
        kid: keyId,
      });
      if (expiresAt !== null) jwt.setExpirationTime(expiresAt);
      // A key object is not bound to one hash, as the library's own keys are.
      return jwt.sign(KeyObject.from((await pairOf(keyId)).privateKey));
    },
    publicPem: async (keyId) => exportSPKI((await pairOf(keyId)).publicKey),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  await issuer.publish('k1');
  return issuer;
}
