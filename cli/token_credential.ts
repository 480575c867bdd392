import type { TokenCredential } from '@azure/identity';

/** Loaded only when it is asked for: the identity library is slow to load. */
export async function tokenCredential(): Promise<TokenCredential> {
  const { createCredential } = await import('../platform/azure_credential.ts');
  return createCredential(process.env.AZURE_AUTHORITY_HOST);
}
