import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { defineError } from '../../platform/errors.ts';
import { asSealedText, type SealedText } from '../../security/sealing/sealed_text.ts';
import { parseEnvelope, type RecordCodec } from '../../state/envelope.ts';

const ERASED = defineError('ERR_TEST_KEY_ERASED', { status: 410, message: 'the key was erased', remedy: '-' });

/** Seals whole bodies under one key; `erase` throws the key away. */
export class OneKeyCodec implements RecordCodec {
  #key: Buffer = randomBytes(32);
  #epoch = 0;

  erase(): void {
    this.#key = randomBytes(32);
    this.#epoch += 1;
  }

  async seal(ref: { kind: string; id: string }, body: object): Promise<SealedText> {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(`${ref.kind}/${ref.id}`));
    const sealed = Buffer.concat([cipher.update(JSON.stringify(body)), cipher.final(), cipher.getAuthTag()]);
    const header = { v: 1, alg: 'A256GCM', kid: String(this.#epoch), n: nonce.toString('base64url') };
    return asSealedText(JSON.stringify({ ...header, body: { sealed: sealed.toString('base64url') } }));
  }

  async open(ref: Parameters<RecordCodec['open']>[0], text: string): Promise<Record<string, unknown>> {
    const { header, body } = parseEnvelope(ref, text);
    if (header.kid !== String(this.#epoch)) throw ERASED.with();
    const sealed = Buffer.from(String(body.sealed), 'base64url');
    const decipher = createDecipheriv('aes-256-gcm', this.#key, Buffer.from(String(header.n), 'base64url'));
    decipher.setAAD(Buffer.from(`${ref.kind}/${ref.id}`)).setAuthTag(sealed.subarray(-16));
    return JSON.parse(Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]).toString());
  }
}
