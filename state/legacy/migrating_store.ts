import { safeIdentifier } from '../../contract/ids.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { isObject } from '../envelope.ts';
import type { CallStore, Checkpoint, CheckpointOutcome, SessionRecord, StoredCall } from '../ports.ts';
import { isRedisAway } from '../redis/errors.ts';
import type { LegacyOrigin } from './convert.ts';
import type { LegacyMigrator, LegacyOutcome } from './migrator.ts';

export interface MigratingCallStoreOptions {
  store: CallStore;
  migrator: LegacyMigrator;
  log: Log;
  /**
   * What to do with a call without a record while the flat keys cannot be asked. `reject`: fail with ERR_REDIS_…, since "no record"
   * could be wrong; for applications, which can ask again. `goOn`: it has none; for workers, whose live call must not wait for a server
   * that is needed for nothing else. Its flat keys are then left as they are, and `rtvoice migrate` names them.
   */
  whenAway?: 'reject' | 'goOn';
}

/**
 * {@link CallStore} that looks under the older flat keys for a call that has no record, and moves it over first. A call with a record
 * costs nothing more, unless it came from there: then its flat keys are retired, should its writer not have come to it.
 *
 * Flat keys that cannot be read do not hold a call up: it reads as one without a record, and the keys are left as they are.
 */
export class MigratingCallStore implements CallStore {
  readonly #store: CallStore;
  readonly #migrator: LegacyMigrator;
  readonly #log: Log;
  readonly #whenAway: 'reject' | 'goOn';

  constructor(options: MigratingCallStoreOptions) {
    this.#store = options.store;
    this.#migrator = options.migrator;
    this.#log = options.log;
    this.#whenAway = options.whenAway ?? 'reject';
  }

  /** As the store's own; see {@link MigratingCallStoreOptions.whenAway}. */
  async claim(request: Parameters<CallStore['claim']>[0]): ReturnType<CallStore['claim']> {
    const claim = await this.#store.claim(request);
    if (claim.kind === 'refused' || (await this.#isThere(request.callConnectionId, claim.call))) return claim;
    // The fence is this owner's already: nobody older can write between the two.
    return this.#store.claim(request);
  }

  async read(callConnectionId: string): Promise<StoredCall> {
    const call = await this.#store.read(callConnectionId);
    return (await this.#isThere(callConnectionId, call)) ? call : this.#store.read(callConnectionId);
  }

  checkpoint(checkpoint: Checkpoint): Promise<CheckpointOutcome> {
    return this.#store.checkpoint(checkpoint);
  }

  refresh(request: Parameters<CallStore['refresh']>[0]): ReturnType<CallStore['refresh']> {
    return this.#store.refresh(request);
  }

  /** False when records were moved over in between, so that the call must be read again. */
  async #isThere(id: string, call: StoredCall): Promise<boolean> {
    if (!call.session) {
      const kind = await this.#migrate(id);
      return kind !== 'migrated' && kind !== 'exists';
    }
    const origin = legacyOrigin(call.session);
    if (origin) await this.#retire(id, origin);
    return true;
  }

  async #migrate(id: string): Promise<LegacyOutcome['kind'] | 'away'> {
    try {
      return (await this.#migrator.migrate(id)).kind;
    } catch (error) {
      if (this.#whenAway === 'reject' || !isRedisAway(error)) throw error;
      this.#log.error(
        { call: safeIdentifier(id), code: errorCode(error) },
        'flat keys cannot be asked; a call goes on without',
      );
      return 'away';
    }
  }

  async #retire(id: string, origin: LegacyOrigin): Promise<void> {
    try {
      await this.#migrator.retire(origin);
    } catch (error) {
      // The call has its record; the next reader tries again.
      this.#log.warn(
        { call: safeIdentifier(id), code: errorCode(error) },
        'flat keys did not get their grace time yet',
      );
    }
  }
}

/** Where a record was moved over from; undefined for one of our own, and for anything else under that name. */
export function legacyOrigin(session: SessionRecord): LegacyOrigin | undefined {
  const found = (session as SessionRecord & { legacy?: unknown }).legacy;
  if (!isObject(found) || !Array.isArray(found.keys)) return undefined;
  const isPair = (each: unknown) => isObject(each) && typeof each.key === 'string' && typeof each.digest === 'string';
  return found.keys.every(isPair) ? (found as unknown as LegacyOrigin) : undefined;
}
