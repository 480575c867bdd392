import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { PoolTag } from '../contract/ids.ts';
import type { Clock } from '../platform/clock.ts';

/**
 * The token in a call's callback and media URLs: `1.<key id>.<expiry>.<mac>`, URL-safe as it stands. The mac is HMAC-SHA256 over
 * version, pool tag, call ref and expiry; tag and call ref are not carried, since the verifier takes them from the path.
 */
export interface CallTokens {
  issue(request: { tag: PoolTag; callRef: string; expiresAtMs: number }): string;
  verify(token: string | undefined, bound: { tag: PoolTag; callRef: string }): CallTokenVerdict;
}

export type CallTokenVerdict = { ok: true; expiresAtMs: number } | { ok: false; reason: CallTokenRefusal };
export type CallTokenRefusal =
  /** The URL carries no token. */
  | 'missing'
  /** It does not have the form of a token. */
  | 'malformed'
  /** Signed by a key that this process does not (or no longer) hold. */
  | 'unknown_key'
  /** Not signed for this pool and call, or changed. */
  | 'signature'
  /** Its time is over. */
  | 'expired';

const VERSION = '1';
const FORM = /^1\.([A-Za-z0-9_-]{8})\.([0-9a-z]{1,11})\.([A-Za-z0-9_-]{43})$/;
/** Issuer and verifier are different machines: their clocks may differ by this much. */
const LEEWAY_MS = 60_000;

export function createCallTokens(options: { keys: readonly string[]; clock: Clock }): CallTokens {
  const keys = options.keys.map((secret) => ({ id: keyId(secret), secret }));
  const [signing] = keys;
  if (!signing) throw new RangeError('at least one call token key is needed');
  return {
    issue({ tag, callRef, expiresAtMs }) {
      const expiry = Math.ceil(expiresAtMs / 1000).toString(36);
      return `${VERSION}.${signing.id}.${expiry}.${mac(signing.secret, tag, callRef, expiry).toString('base64url')}`;
    },
    verify(token, { tag, callRef }) {
      if (token === undefined || token === '') return { ok: false, reason: 'missing' };
      const [, id, expiry, presented] = FORM.exec(token) ?? [];
      if (id === undefined || expiry === undefined || presented === undefined)
        return { ok: false, reason: 'malformed' };
      const key = keys.find((candidate) => candidate.id === id);
      if (!key) return { ok: false, reason: 'unknown_key' };
      const expected = mac(key.secret, tag, callRef, expiry);
      // The last character of base64url carries two unused bits: only the canonical spelling passes.
      const given = Buffer.from(presented, 'base64url');
      if (given.length !== expected.length || !timingSafeEqual(given, expected))
        return { ok: false, reason: 'signature' };
      if (given.toString('base64url') !== presented) return { ok: false, reason: 'malformed' };
      const expiresAtMs = Number.parseInt(expiry, 36) * 1000;
      return options.clock.wallMs() > expiresAtMs + LEEWAY_MS
        ? { ok: false, reason: 'expired' }
        : { ok: true, expiresAtMs };
    },
  };
}

/** Names a key without telling anything about it. */
function keyId(secret: string): string {
  return createHash('sha256').update('rtvoice call token key id\0').update(secret).digest('base64url').slice(0, 8);
}

function mac(secret: string, tag: string, callRef: string, expiry: string): Buffer {
  return createHmac('sha256', secret).update(`rtvoice call token\0${VERSION}\0${tag}\0${callRef}\0${expiry}`).digest();
}
