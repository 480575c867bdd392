import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as tls from 'node:tls';
import { createCredential } from '../platform/azure_credential.ts';
import { type Config, loadConfig } from '../platform/config.ts';
import { defineError } from '../platform/errors.ts';
import { type CosmosDatabase, openCosmos } from '../state/cosmos/client.ts';
import { COSMOS_ACCOUNT_SETTINGS } from './cosmos_settings.ts';
import { AZURE_FILE, DEFAULT_STATE_DIR, KEY_RING_FILE } from './dev/state_dir.ts';

export const NO_ARCHIVE = defineError('ERR_ARCHIVE_NOT_NAMED', {
  status: 400,
  message: 'no Cosmos DB account is named and no local mode was found',
  remedy: 'Set RTVOICE_COSMOS_ENDPOINT, or name the state folder of a local mode with --state-dir.',
});

export const AUTHORITY_UNTRUSTED = defineError('ERR_AUTHORITY_UNTRUSTED', {
  status: 500,
  message: 'this Node cannot be told of an authority while it runs',
  remedy: 'Start the command with NODE_EXTRA_CA_CERTS set to the file that is named, or with Node 22.19 or newer.',
});

export const accountOptions = { 'state-dir': { type: 'string', default: DEFAULT_STATE_DIR } } as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** The archive that the environment names, else that of the local mode in the state folder. Close it after use. */
export function openArchive(stateDir: string, env: Environment = process.env): CosmosDatabase {
  const named = loadConfig(COSMOS_ACCOUNT_SETTINGS, env);
  return named.endpoint === undefined ? openLocalArchive(stateDir).database : open(named, named.endpoint);
}

/** The archive of the local mode in the state folder, and the variables that its workers were given. Rejects with ERR_ARCHIVE_NOT_NAMED. */
export function openLocalArchive(stateDir: string): { database: CosmosDatabase; env: Environment } {
  const env = localEnvironment(stateDir);
  const account = loadConfig(COSMOS_ACCOUNT_SETTINGS, env);
  if (account.endpoint === undefined) throw NO_ARCHIVE.with(stateDir);
  return { database: open(account, account.endpoint), env };
}

function open({ database, key }: Config<typeof COSMOS_ACCOUNT_SETTINGS>, endpoint: string): CosmosDatabase {
  const credential =
    key === undefined
      ? { kind: 'entra' as const, credential: createCredential(process.env.AZURE_AUTHORITY_HOST) }
      : { kind: 'key' as const, key };
  return openCosmos({ endpoint, database, credential, requestTimeoutMs: 30_000 });
}

/** The identity library reads the process's environment, so it is put there: what the caller's own says is of another account. */
function localEnvironment(stateDir: string): Environment {
  let env: Record<string, string>;
  try {
    ({ env } = JSON.parse(readFileSync(join(stateDir, AZURE_FILE), 'utf8')) as { env: Record<string, string> });
    const keyRing = resolve(stateDir, KEY_RING_FILE);
    if (existsSync(keyRing)) env.RTVOICE_KEY_RING = keyRing;
  } catch (cause) {
    throw NO_ARCHIVE.with(stateDir, cause);
  }
  if (env.NODE_EXTRA_CA_CERTS !== undefined) trust(env.NODE_EXTRA_CA_CERTS);
  Object.assign(process.env, env);
  return env;
}

/** Node reads NODE_EXTRA_CA_CERTS at its start alone; before version 22.19 there is no other way. */
function trust(authority: string): void {
  if (!('setDefaultCACertificates' in tls)) {
    if (process.env.NODE_EXTRA_CA_CERTS === authority) return;
    throw AUTHORITY_UNTRUSTED.with(authority);
  }
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(authority, 'utf8')]);
}
