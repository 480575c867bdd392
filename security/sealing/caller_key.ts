import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

export const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SECRET_BYTES = 32;

/**
 * Key of one caller: 256 random bits, from which HKDF-SHA256 (RFC 5869) derives one key for AES-256-GCM (NIST SP 800-38D) and one
 * for nonces. Nonces are synthetic, as in RFC 8452: a PRF of associated data and plaintext, cut to 96 bits. So sealing the same
 * record again gives the same bytes, and a nonce comes twice only for the same record with the same content.
 */
export class CallerKey {
  /** `<caller's pseudonym>.<random>`. */
  readonly kid: string;
  readonly tenant: string;
  /** Tenant and id as JSON: in associated data, and as members of an envelope. */
  readonly nameText: string;
  readonly headerText: string;
  readonly #encryption: KeyObject;
  readonly #nonces: KeyObject;

  constructor(kid: string, tenant: string, secret: Buffer) {
    if (secret.length !== SECRET_BYTES) throw new RangeError(`a caller key has ${SECRET_BYTES} bytes`);
    this.kid = kid;
    this.tenant = tenant;
    this.nameText = `${JSON.stringify(tenant)},${JSON.stringify(kid)}`;
    this.headerText = `"tn":${JSON.stringify(tenant)},"kid":${JSON.stringify(kid)}`;
    this.#encryption = derive(secret, tenant, 'rtvoice seal A256GCM 1');
    this.#nonces = derive(secret, tenant, 'rtvoice seal nonce 1');
  }

  /** `sealed`: ciphertext and 16 bytes of tag. */
  seal(associated: Buffer, plaintext: Buffer): { nonce: Buffer; sealed: Buffer } {
    const nonce = this.#nonce(associated, plaintext);
    const cipher = createCipheriv('aes-256-gcm', this.#encryption, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(associated);
    const body = cipher.update(plaintext);
    cipher.final();
    return { nonce, sealed: Buffer.concat([body, cipher.getAuthTag()]) };
  }

  /** Undefined when anything is not as it was sealed. */
  open(associated: Buffer, nonce: Buffer, sealed: Buffer): Buffer | undefined {
    if (nonce.length !== NONCE_BYTES || sealed.length < TAG_BYTES) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', this.#encryption, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(associated);
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    try {
      const plaintext = decipher.update(sealed.subarray(0, -TAG_BYTES));
      decipher.final();
      return plaintext;
    } catch {
      // The library says only that the tag does not fit, which is all there is to say.
      return undefined;
    }
  }

  #nonce(associated: Buffer, plaintext: Buffer): Buffer {
    // The length parts the two: without it bytes could move from one to the other under the same nonce.
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(associated.length));
    const mac = createHmac('sha256', this.#nonces).update(length).update(associated).update(plaintext).digest();
    return mac.subarray(0, NONCE_BYTES);
  }
}

function derive(secret: Buffer, tenant: string, purpose: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, tenant, purpose, 32)));
}
