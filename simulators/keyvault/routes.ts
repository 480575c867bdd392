import { badParameter, keyNotFound, VaultHttpError } from './http_error.ts';
import type { KeyVersion, Vault, VaultKey } from './vault.ts';

export interface VaultRequest {
  readonly method: string;
  /** Decoded path: `keys`, a name, a version or a verb, a verb. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown>;
  /** `https://<host>`: ids of keys begin with it. */
  readonly vaultUrl: string;
}

export interface VaultAnswer {
  readonly status: number;
  readonly body?: unknown;
}

const RECOVERABLE_DAYS = 90;
const DAY_SECONDS = 86_400;

/** Throws a {@link VaultHttpError} for what the service refuses. */
export async function route(vault: Vault, request: VaultRequest): Promise<VaultAnswer> {
  if (!/^(7\.[0-9]|20\d\d-\d\d-\d\d)(-preview(\.\d+)?)?$/.test(request.query.get('api-version') ?? ''))
    throw badParameter('The request must have a valid api-version.');
  const [collection, name, ...rest] = request.segments;
  if (collection === 'keys') return name === undefined ? listed(vault, request) : keys(vault, request, name, rest);
  if (collection === 'deletedkeys')
    return name === undefined ? deletedListed(vault, request) : deletedKeys(vault, request, name, rest);
  throw notFound();
}

async function keys(vault: Vault, request: VaultRequest, name: string, rest: readonly string[]): Promise<VaultAnswer> {
  const { method, body, vaultUrl } = request;
  const [first, verb] = rest;
  switch (`${method} ${rest.length === 2 ? `version ${verb}` : (first ?? '')}`) {
    case 'POST create':
      return { status: 200, body: bundle(await vault.create(name, body), vaultUrl) };
    case 'POST rotate':
      return { status: 200, body: bundle(await vault.rotate(name), vaultUrl) };
    case 'GET versions':
      return { status: 200, body: page(vault.key(name).versions.map((each) => item(each, vaultUrl))) };
    case 'DELETE ': {
      const key = vault.key(name);
      key.deletedSeconds = vault.nowSeconds;
      return { status: 200, body: deletedBundle(name, key, vaultUrl) };
    }
    case 'POST version wrapkey':
      return operation(vault.version(name, first), vaultUrl, (version) => vault.wrap(version, body));
    case 'POST version unwrapkey':
      return operation(vault.version(name, first), vaultUrl, (version) => vault.unwrap(version, body));
  }
  if (rest.length > 1) throw notFound();
  const version = vault.version(name, first);
  if (method === 'PATCH') vault.update(version, body);
  else if (method !== 'GET') throw notFound();
  return { status: 200, body: bundle(version, vaultUrl) };
}

function operation(version: KeyVersion, vaultUrl: string, act: (version: KeyVersion) => Buffer): VaultAnswer {
  return { status: 200, body: { kid: idOf(version, vaultUrl), value: act(version).toString('base64url') } };
}

function deletedKeys(vault: Vault, request: VaultRequest, name: string, rest: readonly string[]): VaultAnswer {
  const { method, vaultUrl } = request;
  const key = vault.deletedKey(name);
  switch (`${method} ${rest.join('/')}`) {
    case 'GET ':
      return { status: 200, body: deletedBundle(name, key, vaultUrl) };
    case 'DELETE ':
      vault.keys.delete(name);
      return { status: 204 };
    case 'POST recover': {
      (key as VaultKey).deletedSeconds = undefined;
      return { status: 200, body: bundle(vault.version(name, undefined), vaultUrl) };
    }
    default:
      throw notFound();
  }
}

function listed(vault: Vault, { method, vaultUrl }: VaultRequest): VaultAnswer {
  if (method !== 'GET') throw notFound();
  const inUse = [...vault.keys.values()].filter(({ deletedSeconds }) => deletedSeconds === undefined);
  return { status: 200, body: page(inUse.flatMap(({ versions }) => newestItem(versions, vaultUrl))) };
}

function deletedListed(vault: Vault, { method, vaultUrl }: VaultRequest): VaultAnswer {
  if (method !== 'GET') throw notFound();
  const deleted = [...vault.keys].flatMap(([name, key]) =>
    key.deletedSeconds === undefined
      ? []
      : newestItem(key.versions, vaultUrl).map((each) => ({ ...each, ...deletion(name, key, vaultUrl) })),
  );
  return { status: 200, body: page(deleted) };
}

function newestItem(versions: readonly KeyVersion[], vaultUrl: string) {
  const newest = versions.at(-1);
  if (!newest) return [];
  // Lists name keys, not their versions.
  return [{ ...item(newest, vaultUrl), kid: `${vaultUrl}/keys/${newest.name}` }];
}

function bundle(version: KeyVersion, vaultUrl: string) {
  const { n, e } = version.publicKey.export({ format: 'jwk' });
  const { attributes, tags } = item(version, vaultUrl);
  return { key: { kid: idOf(version, vaultUrl), kty: 'RSA', key_ops: version.operations, n, e }, attributes, tags };
}

function deletedBundle(name: string, key: VaultKey, vaultUrl: string) {
  const newest = key.versions.at(-1);
  if (!newest) throw keyNotFound(name);
  return { ...bundle(newest, vaultUrl), ...deletion(name, key, vaultUrl) };
}

function deletion(name: string, { deletedSeconds = 0 }: VaultKey, vaultUrl: string) {
  return {
    recoveryId: `${vaultUrl}/deletedkeys/${name}`,
    deletedDate: deletedSeconds,
    scheduledPurgeDate: deletedSeconds + RECOVERABLE_DAYS * DAY_SECONDS,
  };
}

function item(version: KeyVersion, vaultUrl: string) {
  const { enabled, createdSeconds: created, updatedSeconds: updated, tags } = version;
  const attributes = {
    enabled,
    created,
    updated,
    recoveryLevel: 'Recoverable+Purgeable',
    recoverableDays: RECOVERABLE_DAYS,
  };
  return { kid: idOf(version, vaultUrl), attributes, tags };
}

const idOf = ({ name, version }: KeyVersion, vaultUrl: string) => `${vaultUrl}/keys/${name}/${version}`;
const page = (value: readonly unknown[]) => ({ value, nextLink: null });
const notFound = () => new VaultHttpError(404, 'NotFound', 'The requested resource does not exist.');
