import { Agent } from 'node:https';
import { type Container, CosmosClient, type RetryOptions } from '@azure/cosmos';
import type { TokenCredential } from '@azure/identity';
import type { ContainerName } from './containers.ts';
import { refuse, type SetupReport, setUp } from './setup.ts';

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
  /** For reading and for work that nobody waits for: the SDK repeats what was answered 429, however long the service asks to wait. */
  container(name: ContainerName): Container;
  /** For writes that are repeated by the caller: a 429 comes back at once, with the service's delay. */
  writing(name: ContainerName): Container;
  /**
   * Creates what is missing of the named containers (of all, by default); safe to repeat and to run from many processes at once.
   * Rejects with ERR_COSMOS_CONTAINER_MISMATCH where documents would be refused: every one of them would be quarantined.
   */
  ensure(only?: readonly ContainerName[]): Promise<void>;
  /** Makes every container as code wants it and says what it did; `check` changes nothing. */
  setUp(options?: { check?: boolean }): Promise<SetupReport>;
  close(): void;
}

const MAX_SOCKETS = 32;
/** The SDK looks at the last of these only before a wait, so that one wait may be longer. */
const PATIENT = { maxRetryAttemptCount: 9, fixedRetryIntervalInMilliseconds: 0, maxWaitTimeInSeconds: 30 };

export function openCosmos(options: CosmosOptions): CosmosDatabase {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    minVersion: 'TLSv1.3',
    ...(options.caPem ? { ca: options.caPem } : {}),
  });
  // Two clients, since how often 429 is repeated is a matter of the client. The second one is made when it is first used.
  const patient = newClient(options, agent, PATIENT);
  let prompt: CosmosClient | undefined;
  return {
    container: (name) => patient.database(options.database).container(name),
    writing: (name) => {
      prompt ??= newClient(options, agent, { maxRetryAttemptCount: 0 });
      return prompt.database(options.database).container(name);
    },
    ensure: async (only) => {
      refuse(await setUp(patient, options.database, { ...(only ? { only } : {}), mend: false }), ['unusable']);
    },
    setUp: (more) => setUp(patient, options.database, more),
    close: () => {
      patient.dispose();
      prompt?.dispose();
      agent.destroy();
    },
  };
}

function newClient(options: CosmosOptions, agent: Agent, retryOptions: RetryOptions): CosmosClient {
  const { credential } = options;
  return new CosmosClient({
    endpoint: options.endpoint,
    ...(credential.kind === 'key' ? { key: credential.key } : { aadCredentials: credential.credential }),
    ...(credential.kind === 'entra' && credential.scope ? { aadScope: credential.scope } : {}),
    agent,
    connectionPolicy: { requestTimeout: options.requestTimeoutMs ?? 5_000, retryOptions },
  });
}
