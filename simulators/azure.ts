import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { COSMOS_CONTAINERS } from '../state/cosmos/containers.ts';
import type { CallRequest, SimulatedCall } from './acs/call.ts';
import type { AcsTimings } from './acs/deps.ts';
import { type AcsSimulator, startAcs } from './acs/server.ts';
import { Flite } from './audio/flite.ts';
import { SpeechLibrary } from './audio/speech.ts';
import { ensureCertificateAuthority } from './ca.ts';
import { type CosmosSimulator, startCosmosSimulator } from './cosmos/server.ts';
import { type EntraSimulator, startEntra } from './entra/server.ts';
import type { Place } from './http.ts';
import { type KeyVaultSimulator, startKeyVault, VAULT_AUDIENCE } from './keyvault/server.ts';
import type { MediaRedial } from './media/connection.ts';

export type { CallFaults, CallRequest, SimulatedCall } from './acs/call.ts';
export type { AcsFaults, AcsTimings } from './acs/deps.ts';
export type { CallOutcome, CallProgress, CallRecord, TurnRecord } from './caller/record.ts';
export type { CallerScript, ScriptStep } from './caller/script.ts';
export type { MediaRedial } from './media/connection.ts';

export interface AzureOptions {
  /** Certificates, the federated token, Cosmos DB's documents. Used again at the next start. */
  dir: string;
  /** What flite has spoken; default `<dir>/speech`. */
  speechDir?: string;
  ports?: { entra?: number; acs?: number; cosmos?: number; keyVault?: number };
  /** Default: this machine alone. */
  place?: Place;
  /** Default `backOffThenFail`. */
  mediaRedial?: MediaRedial;
  timings?: Partial<AcsTimings>;
  /** Shared secret of the Event Grid subscription; a random one by default. */
  eventGridKey?: string;
  /** Cosmos DB database that holds the archive's containers; default `rtvoice`. */
  database?: string;
  /** Documents and keys survive a restart; default false. */
  keepDocuments?: boolean;
}

/** Entra ID, Communication Services with Event Grid, Cosmos DB and Key Vault behind one local certificate authority. */
export interface Azure {
  /** The environment a worker needs to live in this Azure. */
  readonly env: Readonly<Record<string, string>>;
  /** Files that variables of `env` name, by their path on this machine. */
  readonly files: { readonly authority: string; readonly federatedToken: string };
  readonly acs: AcsSimulator;
  readonly entra: EntraSimulator;
  readonly cosmos: CosmosSimulator;
  /** Without any key at first. */
  readonly keyVault: KeyVaultSimulator;
  placeCall(request: CallRequest): SimulatedCall;
  placeBatch(requests: readonly CallRequest[]): SimulatedCall[];
  stop(): Promise<void>;
}

const NAMES = ['127.0.0.1', 'localhost'];
const COSMOS_AUDIENCE = 'https://cosmos.azure.com';

export async function startAzure(options: AzureOptions): Promise<Azure> {
  const { dir, ports = {}, eventGridKey = randomBytes(24).toString('base64url'), database = 'rtvoice' } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const authority = await ensureCertificateAuthority(join(dir, 'ca'));
  const { place = {} } = options;
  const tls = await authority.server(place.host === undefined ? NAMES : [...NAMES, place.host]);
  const entra = await startEntra({ tls, dir: join(dir, 'entra'), place, ...port(ports.entra) });
  const acs = await startAcs({
    ...{ tls, place, eventGridKey, localAuthority: await readFile(authority.caFile, 'utf8') },
    speech: new SpeechLibrary(new Flite(options.speechDir ?? join(dir, 'speech'))),
    verifyToken: (token) => entra.verify(token, 'https://communication.azure.com'),
    ...(options.mediaRedial ? { mediaRedial: options.mediaRedial } : {}),
    ...(options.timings ? { timings: options.timings } : {}),
    ...port(ports.acs),
  });
  const cosmos = await startCosmos(options, { tls, entra, database });
  const keyVault = await startKeyVault({
    ...{ tls, place, verifyToken: (token) => entra.verify(token, VAULT_AUDIENCE) },
    authorization: `${entra.url}/${entra.env.AZURE_TENANT_ID}`,
    ...(options.keepDocuments ? { dataFile: join(dir, 'keyvault.json') } : {}),
    ...port(ports.keyVault),
  });
  return {
    ...{ acs, entra, cosmos, keyVault },
    files: { authority: authority.caFile, federatedToken: entra.env.AZURE_FEDERATED_TOKEN_FILE ?? '' },
    env: {
      ...entra.env,
      NODE_EXTRA_CA_CERTS: authority.caFile,
      RTVOICE_ACS_ENDPOINT: acs.url,
      RTVOICE_ACS_RESOURCE_ID: acs.resourceId,
      RTVOICE_ACS_ISSUER: acs.issuer,
      RTVOICE_ACS_JWKS_URL: acs.jwksUrl,
      RTVOICE_EVENTGRID_TOPIC: acs.topic,
      RTVOICE_EVENTGRID_KEYS: eventGridKey,
      RTVOICE_COSMOS_ENDPOINT: cosmos.endpoint,
      RTVOICE_COSMOS_DATABASE: database,
      RTVOICE_KEY_VAULT_URL: keyVault.url,
    },
    placeCall: (request) => acs.placeCall(request),
    placeBatch: (requests) => acs.placeBatch(requests),
    async stop() {
      await acs.stop();
      await Promise.all([entra.stop(), cosmos.stop(), keyVault.stop()]);
    },
  };
}

async function startCosmos(
  options: AzureOptions,
  { tls, entra, database }: { tls: { key: string; cert: string }; entra: EntraSimulator; database: string },
): Promise<CosmosSimulator> {
  let endpoint = '';
  const cosmos = await startCosmosSimulator({
    tls,
    masterKey: randomBytes(64).toString('base64'),
    verifyToken: (token) => entra.verify(token, [COSMOS_AUDIENCE, ...audiencesOf(endpoint)]),
    // With Entra credentials containers come from the management plane, never from a worker.
    provision: {
      [database]: COSMOS_CONTAINERS.map((container) => ({ ...container })),
    },
    ...(options.keepDocuments ? { dataFile: join(options.dir, 'cosmos.jsonl') } : {}),
    ...options.place,
    ...port(options.ports?.cosmos),
  });
  endpoint = cosmos.endpoint;
  return cosmos;
}

/** The SDK asks for the account's host, with its port or without. */
function audiencesOf(endpoint: string): string[] {
  if (endpoint === '') return [];
  const { host, hostname } = new URL(endpoint);
  return [`https://${host}`, `https://${hostname}`];
}

const port = (value: number | undefined): { port?: number } => (value === undefined ? {} : { port: value });
