import { Agent } from 'node:https';
import { type Container, CosmosClient } from '@azure/cosmos';
import type { TokenCredential } from '@azure/identity';
import { COSMOS_CONTAINERS, type ContainerName } from './containers.ts';
import { COSMOS_CONTAINER_MISMATCH, COSMOS_SETUP_DENIED, statusOf } from './errors.ts';

export type CosmosCredential =
  /** Account key, base64. */
  | { kind: 'key'; key: string }
  /** Entra (managed identity, workload identity). `scope` when the token's audience is not the endpoint's host. */
  | { kind: 'entra'; credential: TokenCredential; scope?: string };

export interface CosmosOptions {
  endpoint: string;
  database: string;
  credential: CosmosCredential;
  /** PEM of a private authority, beside what NODE_EXTRA_CA_CERTS adds. */
  caPem?: string;
  /** One request, retries not counted. */
  requestTimeoutMs?: number;
}

export interface CosmosDatabase {
  container(name: ContainerName): Container;
  /** Creates what is missing; safe to repeat and to run from many processes at once. */
  ensure(): Promise<void>;
  close(): void;
}

const MAX_SOCKETS = 32;

export function openCosmos(options: CosmosOptions): CosmosDatabase {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    minVersion: 'TLSv1.3',
    ...(options.caPem ? { ca: options.caPem } : {}),
  });
  const { credential } = options;
  const client = new CosmosClient({
    endpoint: options.endpoint,
    ...(credential.kind === 'key' ? { key: credential.key } : { aadCredentials: credential.credential }),
    ...(credential.kind === 'entra' && credential.scope ? { aadScope: credential.scope } : {}),
    agent,
    connectionPolicy: {
      requestTimeout: options.requestTimeoutMs ?? 5_000,
      // Short, since the outbox holds the record and the archiver backs off for all calls at once.
      retryOptions: { maxRetryAttemptCount: 5, fixedRetryIntervalInMilliseconds: 0, maxWaitTimeInSeconds: 5 },
    },
  });
  const database = client.database(options.database);
  return {
    container: (name) => database.container(name),
    ensure: () => ensure(client, options.database),
    close: () => {
      client.dispose();
      agent.destroy();
    },
  };
}

async function ensure(client: CosmosClient, name: string): Promise<void> {
  try {
    const { database } = await client.databases.createIfNotExists({ id: name });
    for (const definition of COSMOS_CONTAINERS) {
      const { resource } = await database.containers.createIfNotExists(definition);
      const paths = resource?.partitionKey?.paths ?? [];
      // Every document would be refused as invalid, and so be quarantined.
      if (paths.join() !== definition.partitionKey.paths.join()) {
        throw COSMOS_CONTAINER_MISMATCH.with(
          `${definition.id}: partition key ${paths.join()}, wanted ${definition.partitionKey.paths.join()}`,
        );
      }
    }
  } catch (error) {
    const status = statusOf(error);
    // Another process created it in between: read it on the next round.
    if (status === 409) return ensure(client, name);
    if (status === 403)
      throw COSMOS_SETUP_DENIED.with(
        `database ${name}, containers ${COSMOS_CONTAINERS.map(({ id }) => id).join(', ')}`,
        error,
      );
    throw error;
  }
}
