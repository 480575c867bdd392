import { Agent } from 'node:https';
import type { TestContext } from 'node:test';
import { type Container, type ContainerRequest, CosmosClient } from '@azure/cosmos';
import type { Io } from '../../cli/io.ts';
import {
  type CosmosSimulator,
  type CosmosSimulatorOptions,
  startCosmosSimulator,
} from '../../simulators/cosmos/server.ts';
import { type CosmosDatabase, openCosmos } from '../../state/cosmos/client.ts';
import type { ArchiveRecord } from '../../state/outbox/ports.ts';
import { makeTls, type TestTls } from './tls.ts';

export const KEY = Buffer.from('a master key of the simulator').toString('base64');

/** A simulator with the real SDK on it, over TLS; everything ends with the test. */
export interface CosmosBench {
  simulator: CosmosSimulator;
  client: CosmosClient;
  tls: TestTls;
  /** A container of its own for this test. */
  container(definition?: Partial<ContainerRequest>): Promise<Container>;
  /** The product's own client. */
  open(name?: string, credential?: Parameters<typeof openCosmos>[0]['credential']): CosmosDatabase;
}

export async function startCosmos(t: TestContext, options: Partial<CosmosSimulatorOptions> = {}): Promise<CosmosBench> {
  const tls = await makeTls();
  const verifyToken = (token: string) => token === 'good';
  const simulator = await startCosmosSimulator({ tls, masterKey: KEY, verifyToken, ...options });
  t.after(() => simulator.stop());
  const agent = new Agent({ ca: tls.caPem, keepAlive: true });
  t.after(() => agent.destroy());
  const client = new CosmosClient({
    endpoint: simulator.endpoint,
    key: KEY,
    agent,
    connectionPolicy: {
      requestTimeout: 5_000,
      retryOptions: { maxRetryAttemptCount: 3, fixedRetryIntervalInMilliseconds: 0, maxWaitTimeInSeconds: 5 },
    },
  });
  t.after(() => client.dispose());
  let containers = 0;
  return {
    ...{ simulator, client, tls },
    container: async (definition = {}) => {
      const { database } = await client.databases.createIfNotExists({ id: 'db' });
      containers += 1;
      const wanted = { id: `c${containers}`, partitionKey: { paths: ['/pk'] }, ...definition };
      return (await database.containers.create(wanted)).container;
    },
    open: (name = 'rtvoice', credential = { kind: 'key', key: KEY }) => {
      const { endpoint } = simulator;
      const database = openCosmos({ endpoint, database: name, credential, caPem: tls.caPem, requestTimeoutMs: 5_000 });
      t.after(() => database.close());
      return database;
    },
  };
}

export function entra(token: string) {
  const getToken = async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 });
  return { kind: 'entra' as const, credential: { getToken } };
}

export function record(
  callConnectionId: string,
  fields: Pick<ArchiveRecord, 'kind' | 'id' | 'body'> & Partial<ArchiveRecord>,
): ArchiveRecord {
  return { callConnectionId, header: { v: 1, alg: 'none' }, ...fields };
}

export function turn(callConnectionId: string, seq: number, text = `text ${seq}`): ArchiveRecord {
  const body = { seq, role: 'caller', text, atMs: seq };
  return record(callConnectionId, { kind: 'turn', id: `turn-${String(seq).padStart(6, '0')}`, body });
}

/** The code of an SDK error (a batch hides it in the cause), or `none`. */
export function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'none',
    (error: { code?: unknown; cause?: { code?: unknown } }) => error.code ?? error.cause?.code,
  );
}

/** What a command has said. */
export interface Said extends Io {
  text: string;
  errors: string;
}

export function listen(): Said {
  const said: Said = {
    text: '',
    errors: '',
    colour: false,
    out: (text) => {
      said.text += text;
    },
    err: (text) => {
      said.errors += text;
    },
  };
  return said;
}
