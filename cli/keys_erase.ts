import { systemClock } from '../platform/clock.ts';
import { CONFIG_INVALID } from '../platform/config.ts';
import { silentLog } from '../platform/log.ts';
import { createBlindIndex } from '../security/sealing/blind_index.ts';
import type { TenantKeyRing } from '../security/sealing/keys.ts';
import type { CallerKeyStore } from '../state/sealing/caller_key_store.ts';
import { CallerKeys } from '../state/sealing/caller_keys.ts';
import { SealingMetrics } from '../state/sealing/metrics.ts';
import { EXIT, type ExitCode, type Io } from './io.ts';
import type { SealingStores } from './sealing_stores.ts';

/** In the order in which a worker asks them. */
type CallerKeyStores = readonly [CallerKeyStore, ...CallerKeyStore[]];

/**
 * Deletes the keys of one caller, named by number or id, under every pseudonym that the caller can have: their sealed records are unreadable from then on, also
 * those in backups. Without `yes` it says what it would do and changes nothing. Safe to repeat.
 */
export async function eraseCaller(
  parts: { opened: SealingStores; ring: TenantKeyRing; stores: CallerKeyStores },
  options: { caller: string; yes: boolean },
  io: Io,
): Promise<ExitCode> {
  const { opened, ring, stores } = parts;
  const { callerIdKey } = opened.config;
  if (callerIdKey === undefined) throw CONFIG_INVALID.with('RTVOICE_CALLER_ID_KEY is not set');
  const pseudonyms = createBlindIndex(callerIdKey).all(options.caller);
  if (pseudonyms.length === 0) {
    io.err(
      'rtvoice: a caller who withholds the number has a key for each call, which nobody else’s records are under\n',
    );
    return EXIT.error;
  }
  if (!options.yes) {
    for (const id of pseudonyms) io.out(`${id}: ${await countKeys(stores, id)} keys\n`);
    io.err('rtvoice: nothing was changed; what these keys have sealed cannot be read again after: repeat with --yes\n');
    return EXIT.refused;
  }
  const metrics = new SealingMetrics(opened.registry);
  const keys = new CallerKeys({ tenantKeys: ring, stores, clock: systemClock, log: silentLog, metrics });
  for (const id of pseudonyms) {
    const erased = await keys.erase(id);
    io.out(`${id}: ${erased.keys} keys erased, erasure ${erased.erasure}\n`);
  }
  io.err('workers forget them within five minutes; calls under way go on, and the archive refuses their records\n');
  return EXIT.ok;
}

async function countKeys(stores: CallerKeyStores, callerId: string): Promise<number> {
  const found = await Promise.all(stores.map((store) => store.read(callerId)));
  return new Set(found.flatMap(({ keys }) => keys.map(({ kid }) => kid))).size;
}
