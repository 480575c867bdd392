import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { systemClock } from '../platform/clock.ts';
import { CONFIG_INVALID } from '../platform/config.ts';
import { silentLog } from '../platform/log.ts';
import { systemRandom } from '../platform/random.ts';
import type { TenantKeyRing } from '../security/sealing/keys.ts';
import { type KeyRing, type RingEntry, readKeyRing, writeKeyRing } from '../security/sealing/keys_file.ts';
import { ttlMs } from '../state/keys/ttl.ts';
import type { CallerKeyStore, RewrapStore } from '../state/sealing/caller_key_store.ts';
import { CosmosCallerKeys } from '../state/sealing/cosmos_caller_keys.ts';
import { openTenantKeys } from '../state/sealing/open_sealing.ts';
import { RedisCallerKeys } from '../state/sealing/redis_caller_keys.ts';
import { type RewrapProgress, rewrapStore } from '../state/sealing/rewrap.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import { eraseCaller } from './keys_erase.ts';
import { type Environment, type SealingStores, withSealingStores } from './sealing_stores.ts';
import { table } from './table.ts';
import { tokenCredential } from './token_credential.ts';

const OPTIONS = {
  ring: { type: 'string' },
  tenant: { type: 'string', default: 'default' },
  vault: { type: 'string' },
  'vault-key': { type: 'string', default: 'rtvoice' },
  caller: { type: 'string' },
  yes: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;
const USAGE =
  'usage: rtvoice keys add --ring FILE [--tenant NAME] [--vault URL [--vault-key NAME]] | keys promote --ring FILE | keys status [--json] | keys rewrap [--json] | keys erase --caller NUMBER [--yes]\n';
const PROGRESS_EVERY = 1_000;

/**
 * `keys add`: makes a ring, or puts a new tenant key second in one: read everywhere before it is used anywhere. `keys promote`: from now
 * on it wraps. `keys rewrap`: wraps all caller keys by it. `keys status`: how many caller keys each tenant key wraps, by store; exit
 * code 1 while some are not under the first. `keys erase`: deletes those of one caller.
 */
export async function keys(args: readonly string[], io: Io, env: Environment = process.env): Promise<ExitCode> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  const [verb, ...more] = positionals;
  if (more.length === 0 && verb === 'add' && values.ring !== undefined)
    return add({ ...values, ring: values.ring, vaultKey: values['vault-key'] }, io);
  if (more.length === 0 && verb === 'promote' && values.ring !== undefined) return promote(values.ring, io);
  if (more.length === 0 && verb === 'status') return withKeys(env, (parts) => status(parts, values.json, io));
  if (more.length === 0 && verb === 'rewrap') return withKeys(env, (parts) => rewrap(parts, values.json, io));
  if (more.length === 0 && verb === 'erase' && values.caller !== undefined) {
    const wanted = { caller: values.caller, yes: values.yes };
    return withKeys(env, (parts) => eraseCaller(parts, wanted, io));
  }
  io.err(`rtvoice: keys needs add or promote with a ring, status, rewrap, or erase with a caller\n${USAGE}`);
  return EXIT.error;
}

async function add(
  wanted: { ring: string; tenant: string; vault?: string | undefined; vaultKey: string },
  io: Io,
): Promise<ExitCode> {
  const known: KeyRing | undefined = existsSync(wanted.ring) ? await readKeyRing(wanted.ring) : undefined;
  if (wanted.vault === undefined && known?.keys.some((each) => 'wrappedBy' in each)) {
    io.err(
      'rtvoice: the keys of this ring are wrapped by a vault; one in clear beside them needs no vault to be stolen: name --vault\n',
    );
    return EXIT.refused;
  }
  const id = `t-${systemRandom.id(8)}`;
  const entry = await newEntry(id, wanted);
  const [first, ...others] = known?.keys ?? [];
  const entries = first ? [first, entry, ...others] : [entry];
  await writeKeyRing(wanted.ring, { v: 1, tenant: known?.tenant ?? wanted.tenant, keys: entries });
  io.out(`tenant key ${id} is ${first ? `second after ${first.id}` : 'the first'} in ${wanted.ring}\n`);
  if (first)
    io.out(
      `once every process has read the file (a mounted secret takes up to two minutes): rtvoice keys promote --ring ${wanted.ring}\n`,
    );
  return EXIT.ok;
}

async function promote(path: string, io: Io): Promise<ExitCode> {
  const ring = await readKeyRing(path);
  const [first, second, ...others] = ring.keys;
  if (!first || !second) {
    io.err('rtvoice: the ring has one key; add another first\n');
    return EXIT.error;
  }
  await writeKeyRing(path, { ...ring, keys: [second, first, ...others] });
  io.out(`${second.id} wraps from now on; next: rtvoice keys rewrap\n`);
  return EXIT.ok;
}

async function newEntry(
  id: string,
  { vault, vaultKey }: { vault?: string | undefined; vaultKey: string },
): Promise<RingEntry> {
  const bytes = randomBytes(32);
  if (vault === undefined) return { id, key: bytes.toString('base64url') };
  const { createKeyVault } = await import('../security/sealing/key_vault.ts');
  return {
    id,
    ...(await createKeyVault({ vaultUrl: vault, credential: await tokenCredential() }).wrap(vaultKey, bytes)),
  };
}

interface KeyParts {
  opened: SealingStores;
  ring: TenantKeyRing;
  stores: readonly [RedisCallerKeys, ...(RewrapStore & CallerKeyStore)[]];
}

function withKeys(env: Environment, use: (parts: KeyParts) => Promise<ExitCode>): Promise<ExitCode> {
  return withSealingStores(env, async (opened) => {
    const { keyRing, keyVaultUrl } = opened.config;
    if (keyRing === undefined) throw CONFIG_INVALID.with('RTVOICE_KEY_RING is not set');
    const config = { keyRing, keyVaultUrl };
    const ring = await openTenantKeys({ config, credential: tokenCredential, clock: systemClock, log: silentLog });
    return use({ opened, ring, stores: storesOf(opened) });
  });
}

function storesOf({ redis, keys: redisKeys, database }: SealingStores): KeyParts['stores'] {
  const inRedis = new RedisCallerKeys({ redis, keys: redisKeys, ttlMs: ttlMs('outbox') });
  return database ? [inRedis, new CosmosCallerKeys(database.container('keys'))] : [inRedis];
}

async function status({ ring, stores }: KeyParts, json: boolean, io: Io): Promise<ExitCode> {
  const rows: {
    store: string;
    tenantKey: string;
    callerKeys: number;
    verdict: 'newest' | 'older' | 'missing' | 'unused';
  }[] = [];
  for (const store of stores) {
    const counts = await store.counts();
    for (const tenantKey of new Set([...ring.ids, ...counts.keys()])) {
      const callerKeys = counts.get(tenantKey) ?? 0;
      rows.push({ store: store.name, tenantKey, callerKeys, verdict: verdictOf(ring.ids, tenantKey, callerKeys) });
    }
  }
  if (json) io.out(`${JSON.stringify({ tenant: ring.tenant, rows })}\n`);
  else
    io.out(
      table(
        ['STORE', 'TENANT KEY', 'CALLER KEYS', 'VERDICT'],
        rows.map(({ store, tenantKey, callerKeys, verdict }) => [
          store,
          tenantKey,
          String(callerKeys),
          VERDICTS[verdict],
        ]),
      ),
    );
  return rows.some(({ verdict }) => verdict === 'older' || verdict === 'missing') ? EXIT.degraded : EXIT.ok;
}

const VERDICTS = {
  newest: 'wraps what is new',
  older: 'rtvoice keys rewrap',
  missing: 'not in the ring: what it wraps cannot be opened',
  unused: 'may leave the ring a week after its last record left the outbox',
} as const;

function verdictOf(ids: readonly string[], tenantKey: string, callerKeys: number): keyof typeof VERDICTS {
  if (ids[0] === tenantKey) return 'newest';
  if (callerKeys === 0) return 'unused';
  return ids.includes(tenantKey) ? 'older' : 'missing';
}

async function rewrap({ ring, stores }: KeyParts, json: boolean, io: Io): Promise<ExitCode> {
  const reports: RewrapProgress[] = [];
  for (const store of stores) {
    const onProgress = ({ rewrapped }: RewrapProgress) => {
      if (rewrapped > 0 && rewrapped % PROGRESS_EVERY === 0) io.err(`${store.name}: ${rewrapped}\n`);
    };
    reports.push(await rewrapStore(store, ring, { onProgress }));
  }
  if (json) io.out(`${JSON.stringify(reports)}\n`);
  else
    io.out(
      table(
        ['STORE', 'REWRAPPED', 'SKIPPED', 'FAILED'],
        reports.map(({ store, rewrapped, skipped, failed }) => [store, ...[rewrapped, skipped, failed].map(String)]),
      ),
    );
  for (const { failures } of reports) for (const { kid, code } of failures) io.err(`${kid}: ${code}\n`);
  return reports.some(({ failed }) => failed > 0) ? EXIT.degraded : EXIT.ok;
}
