import { canonical } from '../../platform/json.ts';
import type { CallerKey } from './caller_key.ts';
import { RECORD_NOT_AUTHENTIC } from './errors.ts';
import { type RecordKind, splitBody } from './policy.ts';

export const SEALED_ALG = 'A256GCM';

/** Names a record for its seal; never a storage key, since records travel between stores. */
export interface SealRef {
  readonly kind: RecordKind;
  readonly id: string;
}

/** What a sealed record's envelope says beside the body. */
export interface SealedHeader {
  readonly v: number;
  readonly alg: typeof SEALED_ALG;
  /** Tenant. */
  readonly tn: string;
  /** Caller key. */
  readonly kid: string;
  /** Nonce, base64url. A keyed digest of the content too: the same record with the same content has the same. */
  readonly n: string;
}

type Body = Readonly<Record<string, unknown>>;

/** Seals by the policy: clear members stay beside `sealed`. */
export function sealBody(
  key: CallerKey,
  version: number,
  ref: SealRef,
  body: object,
): { header: SealedHeader; body: Body } {
  const { clear, nonce, sealed } = sealParts(key, version, ref, body);
  return {
    header: { v: version, alg: SEALED_ALG, tn: key.tenant, kid: key.kid, n: nonce },
    body: { ...(JSON.parse(clear) as Body), sealed },
  };
}

/**
 * As {@link sealBody}, as the text of an envelope. `more`: further members of the header as JSON, such as `"wk":{…}`. Joined by hand:
 * what is long in it is base64url and needs no escapes.
 */
export function sealText(key: CallerKey, version: number, ref: SealRef, body: object, more: string): string {
  const { clear, nonce, sealed } = sealParts(key, version, ref, body);
  const header = `"v":${version},"alg":"${SEALED_ALG}",${key.headerText},"n":"${nonce}",${more}`;
  const members = clear === '{}' ? '{' : `${clear.slice(0, -1)},`;
  return `{${header},"body":${members}"sealed":"${sealed}"}}`;
}

function sealParts(key: CallerKey, version: number, ref: SealRef, body: object) {
  const { clear, secret } = splitBody(ref.kind, body);
  const bytes = key.seal(associatedData(key, version, ref, clear), Buffer.from(JSON.stringify(secret)));
  return { clear, nonce: bytes.nonce.toString('base64url'), sealed: bytes.sealed.toString('base64url') };
}

/** Throws ERR_RECORD_NOT_AUTHENTIC. `header` may hold more than is looked at; members of `body` beside `sealed` are the clear ones. */
export function openBody(
  key: CallerKey,
  ref: SealRef,
  header: { readonly v: number; readonly tn?: unknown; readonly n?: unknown },
  body: Body,
): Record<string, unknown> {
  const { sealed, ...clear } = body;
  if (header.tn !== key.tenant) throw notAuthentic(ref, 'tenant');
  if (typeof header.n !== 'string' || typeof sealed !== 'string') throw notAuthentic(ref, 'no nonce or sealed part');
  const [nonce, bytes] = [strictBase64url(header.n), strictBase64url(sealed)];
  if (!nonce || !bytes) throw notAuthentic(ref, 'not base64url');
  const plaintext = key.open(associatedData(key, header.v, ref, canonical(clear)), nonce, bytes);
  if (!plaintext) throw notAuthentic(ref, 'seal');
  return { ...clear, ...(JSON.parse(plaintext.toString('utf8')) as Record<string, unknown>) };
}

/** Canonical, so that the order in which a store keeps members means nothing; JSON texts cannot run into each other. */
function associatedData(key: CallerKey, version: number, { kind, id }: SealRef, clear: string): Buffer {
  return Buffer.from(
    `["rtvoice",${version},"${SEALED_ALG}",${key.nameText},"${kind}",${JSON.stringify(id)}]\n${clear}`,
  );
}

/** Undefined for text that another text would decode to the same bytes: a changed byte must never go unnoticed. */
function strictBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

function notAuthentic(ref: SealRef, part: string): Error {
  return RECORD_NOT_AUTHENTIC.with(`${ref.kind} ${ref.id} (${part})`);
}
