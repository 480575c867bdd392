import type { TokenCredential } from '@azure/identity';
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys';
import { KEY_RING_INVALID } from './errors.ts';
import type { KeyUnwrapper } from './keys.ts';
import type { WrappedEntry } from './keys_file.ts';

export interface KeyVaultOptions {
  /** `https://<vault>.vault.azure.net`. */
  vaultUrl: string;
  credential: TokenCredential;
  /** PEM of a private authority, beside what NODE_EXTRA_CA_CERTS adds. */
  caPem?: string;
  /** One operation, the library's retries included. */
  timeoutMs?: number;
}

export interface KeyVault extends KeyUnwrapper {
  /** Wraps 32 bytes by the newest version of the vault's key `keyName`. */
  wrap(keyName: string, key: Buffer): Promise<Pick<WrappedEntry, 'wrappedBy' | 'alg' | 'wrapped'>>;
}

const ALGORITHM = 'RSA-OAEP-256';
/** Hosts whose tokens the service's challenge can be checked against; for any other, tokens go to the configured vault alone. */
const AZURE_HOST = /\.(vault\.azure\.net|vault\.azure\.cn|vault\.usgovcloudapi\.net|managedhsm\.azure\.net)$/;

/** Key Vault (or a managed HSM) as what wraps tenant keys. The vault's limits are the fleet's: callers keep what they get. */
export function createKeyVault(options: KeyVaultOptions): KeyVault {
  const { credential, timeoutMs = 5_000 } = options;
  const vaultUrl = options.vaultUrl.replace(/\/+$/, '');
  const clientOptions = {
    disableChallengeResourceVerification: !AZURE_HOST.test(new URL(vaultUrl).hostname),
    // The ring asks again by itself: more tries here would only hold up whoever waits.
    retryOptions: { maxRetries: 1, retryDelayInMs: 200, maxRetryDelayInMs: 1_000 },
    ...(options.caPem === undefined ? {} : { tlsOptions: { ca: options.caPem } }),
  };
  const keys = new KeyClient(vaultUrl, credential, clientOptions);
  const clients = new Map<string, CryptographyClient>();
  const clientOf = (id: string) => {
    // Else a changed ring could send this process's token to another host.
    if (!id.startsWith(`${vaultUrl}/keys/`)) throw KEY_RING_INVALID.with('a tenant key is wrapped by another vault');
    const known = clients.get(id) ?? new CryptographyClient(id, credential, clientOptions);
    clients.set(id, known);
    return known;
  };
  const limit = () => ({ abortSignal: AbortSignal.timeout(timeoutMs) });
  return {
    async unwrap(entry) {
      const { result } = await clientOf(entry.wrappedBy).unwrapKey(
        ALGORITHM,
        Buffer.from(entry.wrapped, 'base64url'),
        limit(),
      );
      return Buffer.from(result);
    },
    async wrap(keyName, key) {
      const { id } = await keys.getKey(keyName, limit());
      if (id === undefined) throw KEY_RING_INVALID.with(`the vault's key ${keyName} has no id`);
      const { result } = await clientOf(id).wrapKey(ALGORITHM, key, limit());
      return { wrappedBy: id, alg: ALGORITHM, wrapped: Buffer.from(result).toString('base64url') };
    },
  };
}
