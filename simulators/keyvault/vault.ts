import { constants, generateKeyPair, type KeyObject, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { badParameter, deletedButRecoverable, keyDisabled, keyNotFound, notPermitted } from './http_error.ts';

export interface KeyVersion {
  readonly name: string;
  readonly version: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly createdSeconds: number;
  updatedSeconds: number;
  enabled: boolean;
  operations: string[];
  tags: Record<string, string>;
}

export interface VaultKey {
  /** Oldest first. */
  readonly versions: KeyVersion[];
  /** Unix seconds; undefined while the key is in use. */
  deletedSeconds: number | undefined;
}

const NAME = /^[0-9a-zA-Z-]{1,127}$/;
const KEY_OPERATIONS = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'];
const SIZES: readonly unknown[] = [2048, 3072, 4096];
/** What the vault's algorithms mean: padding, and the digest of OAEP. */
const ALGORITHMS: ReadonlyMap<unknown, { padding: number; oaepHash?: string }> = new Map([
  ['RSA-OAEP-256', { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }],
  ['RSA-OAEP', { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }],
]);

const makePair = promisify(generateKeyPair);

/** The keys of one vault: RSA keys with versions, soft delete on, as for every vault since 2025. */
export class Vault {
  readonly keys: Map<string, VaultKey>;
  readonly #nowMs: () => number;

  constructor(options: { nowMs: () => number; keys?: Iterable<[string, VaultKey]> }) {
    this.#nowMs = options.nowMs;
    this.keys = new Map(options.keys ?? []);
  }

  get nowSeconds(): number {
    return Math.floor(this.#nowMs() / 1000);
  }

  /** Makes a key, or another version of it. */
  async create(name: string, wanted: Record<string, unknown>): Promise<KeyVersion> {
    if (!NAME.test(name)) throw badParameter('The request URI contains an invalid name.');
    if (wanted.kty !== 'RSA' && wanted.kty !== 'RSA-HSM') throw badParameter('This simulator makes RSA keys only.');
    const size = wanted.key_size ?? 2048;
    if (!SIZES.includes(size)) throw badParameter(`Key size ${String(size)} is not supported.`);
    const known = this.keys.get(name);
    if (known?.deletedSeconds !== undefined) throw deletedButRecoverable(name);
    const { publicKey, privateKey } = await makePair('rsa', { modulusLength: size as number });
    const made: KeyVersion = {
      ...{ name, version: randomBytes(16).toString('hex'), publicKey, privateKey },
      ...{ createdSeconds: this.nowSeconds, updatedSeconds: this.nowSeconds },
      enabled: enabledOf(wanted.attributes) ?? true,
      operations: Array.isArray(wanted.key_ops) ? wanted.key_ops.map(String) : KEY_OPERATIONS,
      tags: (wanted.tags ?? {}) as Record<string, string>,
    };
    // Looked up again: another request may have made the key meanwhile.
    const key = this.keys.get(name) ?? { versions: [], deletedSeconds: undefined };
    key.versions.push(made);
    this.keys.set(name, key);
    return made;
  }

  /** The newest version when none is named. */
  version(name: string, version: string | undefined): KeyVersion {
    const key = this.key(name);
    const found =
      version === undefined || version === ''
        ? key.versions.at(-1)
        : key.versions.find((each) => each.version === version);
    if (!found) throw keyNotFound(`${name}/${version ?? ''}`);
    return found;
  }

  key(name: string): VaultKey {
    const key = this.keys.get(name);
    if (!key || key.deletedSeconds !== undefined) throw keyNotFound(name);
    return key;
  }

  deletedKey(name: string): VaultKey & { deletedSeconds: number } {
    const key = this.keys.get(name);
    if (key?.deletedSeconds === undefined) throw keyNotFound(name);
    return key as VaultKey & { deletedSeconds: number };
  }

  async rotate(name: string): Promise<KeyVersion> {
    const { operations, tags } = this.version(name, undefined);
    return this.create(name, { kty: 'RSA', key_ops: operations, tags });
  }

  update(found: KeyVersion, wanted: Record<string, unknown>): void {
    found.enabled = enabledOf(wanted.attributes) ?? found.enabled;
    if (Array.isArray(wanted.key_ops)) found.operations = wanted.key_ops.map(String);
    if (typeof wanted.tags === 'object' && wanted.tags !== null) found.tags = wanted.tags as Record<string, string>;
    found.updatedSeconds = this.nowSeconds;
  }

  wrap(found: KeyVersion, body: Record<string, unknown>): Buffer {
    const { padding, value } = this.#operation('wrapKey', found, body);
    try {
      return publicEncrypt({ key: found.publicKey, ...padding }, value);
    } catch {
      throw badParameter('The parameter is incorrect. Value is too long for the key.');
    }
  }

  unwrap(found: KeyVersion, body: Record<string, unknown>): Buffer {
    const { padding, value } = this.#operation('unwrapKey', found, body);
    try {
      return privateDecrypt({ key: found.privateKey, ...padding }, value);
    } catch {
      throw badParameter('The parameter is incorrect. The key could not be unwrapped.');
    }
  }

  #operation(operation: string, found: KeyVersion, { alg, value }: Record<string, unknown>) {
    if (!found.enabled) throw keyDisabled();
    if (!found.operations.includes(operation)) throw notPermitted(operation);
    const padding = ALGORITHMS.get(alg);
    if (!padding) throw badParameter(`Algorithm ${String(alg)} is not supported by this key.`);
    if (typeof value !== 'string' || !/^[A-Za-z0-9_-]+$/.test(value))
      throw badParameter('Property value has invalid value.');
    return { padding, value: Buffer.from(value, 'base64url') };
  }
}

function enabledOf(attributes: unknown): boolean | undefined {
  const { enabled } = (attributes ?? {}) as { enabled?: unknown };
  return typeof enabled === 'boolean' ? enabled : undefined;
}
