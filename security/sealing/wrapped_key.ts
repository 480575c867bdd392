import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { IDENTIFIER } from '../../contract/ids.ts';
import { CallerKey, NONCE_BYTES } from './caller_key.ts';
import { RECORD_NOT_AUTHENTIC } from './errors.ts';

/** A tenant's key that wraps callers' keys. */
export interface TenantKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** A tenant's keys: the newest wraps, all unwrap. Both reject with ERR_KEYS_UNAVAILABLE. */
export interface TenantKeys {
  readonly tenant: string;
  newest(): Promise<TenantKey>;
  byId(id: string): Promise<TenantKey>;
}

/** A caller's key as it is stored: without the tenant key it says nothing. */
export interface WrappedCallerKey {
  readonly kid: string;
  readonly tn: string;
  /** Tenant key that wraps it. */
  readonly tk: string;
  /** Nonce, ciphertext and tag, base64url. */
  readonly w: string;
  /** The erasure of this caller that its maker knew of; a key that knows of an older one is refused by the store. */
  readonly since?: string;
}

const TAG_BYTES = 16;

/** The part of a key id before its last dot. */
export function callerIdOf(kid: string): string {
  return kid.slice(0, kid.lastIndexOf('.'));
}

export interface HeldKey {
  readonly key: CallerKey;
  readonly wrapped: WrappedCallerKey;
}

/** A new caller key, wrapped by the newest tenant key. */
export function makeCallerKey(
  tenantKey: TenantKey,
  fields: { callerId: string; suffix: string; tenant: string; since?: string },
): HeldKey {
  if (!IDENTIFIER.test(fields.callerId)) throw new RangeError('a caller id is a pseudonym of [A-Za-z0-9._-]');
  const secret = randomBytes(32);
  const name = { kid: `${fields.callerId}.${fields.suffix}`, tn: fields.tenant };
  const wrapped = { ...name, tk: tenantKey.id, w: wrap(tenantKey, name, secret) };
  const key = new CallerKey(name.kid, name.tn, secret);
  return { key, wrapped: fields.since === undefined ? wrapped : { ...wrapped, since: fields.since } };
}

/** Throws ERR_RECORD_NOT_AUTHENTIC when it was wrapped for another key id or tenant, or by another tenant key. */
export function unwrapCallerKey(tenantKey: TenantKey, wrapped: WrappedCallerKey): CallerKey {
  return new CallerKey(wrapped.kid, wrapped.tn, unwrap(tenantKey, wrapped));
}

/** The same key under another tenant key. */
export function rewrapCallerKey(from: TenantKey, to: TenantKey, wrapped: WrappedCallerKey): WrappedCallerKey {
  return { ...wrapped, tk: to.id, w: wrap(to, wrapped, unwrap(from, wrapped)) };
}

/** Undefined for what is no such record. */
export function parseWrappedKey(value: unknown): WrappedCallerKey | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { kid, tn, tk, w, since } = value as Record<string, unknown>;
  if (typeof kid !== 'string' || typeof tn !== 'string' || typeof tk !== 'string' || typeof w !== 'string')
    return undefined;
  return { kid, tn, tk, w, ...(typeof since === 'string' ? { since } : {}) };
}

/** Random nonces: a tenant key may wrap 2^32 caller keys (NIST SP 800-38D, 8.3). */
function wrap(tenantKey: TenantKey, name: { kid: string; tn: string }, secret: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', tenantKey.key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(wrapData(name));
  return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

function unwrap(tenantKey: TenantKey, wrapped: WrappedCallerKey): Buffer {
  const bytes = Buffer.from(wrapped.w, 'base64url');
  try {
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', tenantKey.key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(wrapData(wrapped));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch (error) {
    throw RECORD_NOT_AUTHENTIC.with(`caller key ${wrapped.kid} under tenant key ${tenantKey.id}`, error);
  }
}

function wrapData({ kid, tn }: { kid: string; tn: string }): Buffer {
  return Buffer.from(JSON.stringify(['rtvoice caller key', 1, tn, kid]));
}
