import { createHmac, createSecretKey } from 'node:crypto';

/** Callers' pseudonyms: what stands in documents, key names and key ids instead of a number or an id. */
export interface BlindIndex {
  /** Under the newest key: what is written. Undefined for a caller who withholds who they are. */
  of(identifier: string): string | undefined;
  /** Under each key, newest first: what to look up while keys overlap. */
  all(identifier: string): string[];
  /** For a caller without an identity: one per call, so that such callers never share a key. */
  ofCall(callConnectionId: string): string;
}

/** Raw ids of ACS name a phone number as `4:+<E.164>`. */
const PHONE = '4:';
const WITHHELD = new Set(['', 'anonymous', 'restricted', 'unavailable', 'unknown']);
const DIGITS = 32;

/**
 * HMAC-SHA256 over the normalised identifier. Keyed, since the few thousand million phone numbers that exist can all be tried
 * against a bare hash within minutes. Rotation: put the new key first, and keep the old one until records under its pseudonyms are gone.
 */
export function createBlindIndex(keys: readonly string[]): BlindIndex {
  const [newest, ...older] = keys.map((key) => createSecretKey(Buffer.from(key)));
  if (newest === undefined) throw new RangeError('at least one key is needed');
  const pseudonym = (key: typeof newest, text: string) =>
    `u-${createHmac('sha256', key).update(text).digest('hex').slice(0, DIGITS)}`;
  return {
    of(identifier) {
      const normal = normalIdentifier(identifier);
      return normal === undefined ? undefined : pseudonym(newest, normal);
    },
    all(identifier) {
      const normal = normalIdentifier(identifier);
      return normal === undefined ? [] : [newest, ...older].map((key) => pseudonym(key, normal));
    },
    // Raw ids begin with digits and a colon, so that no caller has this name.
    ofCall: (callConnectionId) => pseudonym(newest, `call ${callConnectionId}`),
  };
}

/** One text for all ways to write the same caller: `4:+15550100`, `+1 (555) 0100` and `001 555 0100` are one. Undefined when withheld. */
export function normalIdentifier(identifier: string): string | undefined {
  const trimmed = identifier.trim();
  const bare = trimmed.startsWith(PHONE) ? trimmed.slice(PHONE.length) : trimmed;
  if (WITHHELD.has(bare.toLowerCase())) return undefined;
  const digits = bare.replace(/[\s().-]/g, '').replace(/^00/, '+');
  if (/^\+\d{3,15}$/.test(digits)) return `${PHONE}${digits}`;
  return trimmed;
}
