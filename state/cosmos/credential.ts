import type { CosmosCredential } from './client.ts';

/** The account key when there is one (local use), else the identity that Entra gives this process: workload identity in a cluster. */
export async function cosmosCredential(options: { key?: string; scope?: string }): Promise<CosmosCredential> {
  if (options.key !== undefined) return { kind: 'key', key: options.key };
  // Loaded only where it is used: it is the slowest import of a worker.
  const { DefaultAzureCredential } = await import('@azure/identity');
  return {
    kind: 'entra',
    credential: new DefaultAzureCredential(),
    ...(options.scope ? { scope: options.scope } : {}),
  };
}
