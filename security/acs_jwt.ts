import { createHash } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import type { Clock } from '../platform/clock.ts';
import { createRemoteKeys, type RemoteKeysOptions } from './remote_keys.ts';
import { bearerOf } from './shared_keys.ts';

/** Judges the JWT that ACS sends with each callback (5 minutes, new each time) and each media upgrade (24 hours). */
export interface AcsJwt {
  /** `authorization` is the header as it came. Never throws. */
  verify(authorization: string | undefined): Promise<AcsJwtVerdict>;
}

export type AcsJwtVerdict =
  | { kind: 'ok' }
  | { kind: 'refused'; reason: AcsJwtRefusal }
  /** The issuer's keys cannot be had: trouble of ours, to be answered 503 and never 401. */
  | { kind: 'unavailable'; cause: unknown };

export type AcsJwtRefusal =
  /** No `Authorization: Bearer` header. */
  | 'missing'
  /** Not a compact JWS with a JSON payload. */
  | 'malformed'
  /** Another algorithm than RS256, `none` included. */
  | 'algorithm'
  /** The issuer publishes no such key. */
  | 'unknown_key'
  | 'signature'
  /** Another issuer or audience, not valid yet, or a claim is missing. */
  | 'claims'
  | 'expired';

const LEEWAY_SECONDS = 60;
const MAX_TOKEN_LENGTH = 8192;
const MAX_REMEMBERED = 4096;
/** A key that the issuer withdraws must not live on in here for the 24 hours of a media token. */
const MAX_REMEMBERED_MS = 3_600_000;

export function createAcsJwt(
  options: { issuer: string; audience: string; jwksUrl: string; clock: Clock } & Omit<RemoteKeysOptions, 'url'>,
): AcsJwt {
  const { issuer, audience, clock } = options;
  const keys = createRemoteKeys({ ...options, url: options.jwksUrl });
  /** Digest of a good token to the monotonic time until which it needs no second look; oldest first. */
  const good = new Map<string, number>();

  function remember(digest: string, expirySeconds: number): void {
    const lifeMs = (expirySeconds + LEEWAY_SECONDS) * 1000 - clock.wallMs();
    if (good.size >= MAX_REMEMBERED) {
      const [oldest] = good.keys();
      if (oldest !== undefined) good.delete(oldest);
    }
    good.set(digest, clock.monotonicMs() + Math.min(lifeMs, MAX_REMEMBERED_MS));
  }

  return {
    async verify(authorization) {
      const token = bearerOf(authorization);
      if (!token) return { kind: 'refused', reason: 'missing' };
      if (token.length > MAX_TOKEN_LENGTH) return { kind: 'refused', reason: 'malformed' };
      const digest = createHash('sha256').update(token).digest('base64');
      const goodUntilMs = good.get(digest);
      if (goodUntilMs !== undefined && clock.monotonicMs() < goodUntilMs) return { kind: 'ok' };
      try {
        const { payload } = await jwtVerify(token, keys, {
          algorithms: ['RS256'],
          issuer,
          audience,
          clockTolerance: LEEWAY_SECONDS,
          currentDate: new Date(clock.wallMs()),
          requiredClaims: ['exp'],
        });
        remember(digest, payload.exp ?? 0);
        return { kind: 'ok' };
      } catch (error) {
        return verdictOf(error);
      }
    },
  };
}

function verdictOf(error: unknown): AcsJwtVerdict {
  const refused = (reason: AcsJwtRefusal): AcsJwtVerdict => ({ kind: 'refused', reason });
  if (error instanceof errors.JWTExpired) return refused('expired');
  if (error instanceof errors.JWTClaimValidationFailed) return refused('claims');
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused('signature');
  if (error instanceof errors.JOSEAlgNotAllowed) return refused('algorithm');
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return refused('unknown_key');
  // What remains of the library's own errors about the token is its form; all else happened while fetching keys.
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return refused('malformed');
  if (error instanceof errors.JOSENotSupported) return refused('algorithm');
  return { kind: 'unavailable', cause: error };
}
