import type { PoolRef } from '../../contract/ids.ts';
import { type Clock, sleep } from '../../platform/clock.ts';
import type { RtvoiceError } from '../../platform/errors.ts';
import type { CallStore, StoredCall } from '../ports.ts';
import type { RedisClient } from '../redis/client.ts';
import type { MigratedConversation } from './convert.ts';
import { LEGACY_TOO_LARGE, LEGACY_UNREADABLE, shownKey } from './errors.ts';
import { legacyOrigin } from './migrating_store.ts';
import type { LegacyMigrator, LegacyPlan } from './migrator.ts';
import type { Generation } from './payload.ts';
import type { LegacyFault } from './source.ts';
import { legacyIds } from './walk.ts';

/** What a walk found of one call or conversation, and did about it. */
export const BULK_STATES = {
  ready: 'can be moved over (dry run)',
  migrated: 'was moved over now',
  done: 'was moved over before',
  diverged: 'was moved over before, and an older system has written since',
  exists: 'has a record that did not come from the flat keys',
  continued: 'was moved over before, went on, and has expired since',
  unreadable: 'cannot be read; the flat keys were left as they are',
} as const;
export type BulkState = keyof typeof BULK_STATES;

export interface BulkRow {
  /** Bounded, control characters escaped. */
  id: string;
  state: BulkState;
  generation: Generation | undefined;
  entries: number;
  bytes: number;
  /** Flat keys that are read. */
  keys: string[];
  /** Keys that their content goes to. */
  targets: string[];
  faults: readonly LegacyFault[];
}

export interface BulkOptions {
  migrator: LegacyMigrator;
  store: Pick<CallStore, 'read'>;
  /** Where the flat keys are. */
  legacyRedis: RedisClient;
  /** Whose archiver drains what is moved over. */
  pool: PoolRef;
  clock: Clock;
  dryRun: boolean;
  /** Conversations to move over at the most; the rest is for the next run. */
  limit: number;
  /** Conversations looked at in a second. */
  ratePerSecond: number;
  concurrency: number;
  onRow(row: BulkRow): void;
}

/** Walks the whole store. Every run may be ended at any time and started again: what was moved over is found so, and costs one reading. */
export async function migrateAll(options: BulkOptions): Promise<void> {
  const ids = legacyIds(options.legacyRedis);
  const pace = new Pace(options.clock, options.ratePerSecond);
  let left = options.limit;
  const worker = async () => {
    for (;;) {
      // Taken before the look and given back after it, so that workers side by side do not go beyond the limit.
      if (left <= 0) return;
      left -= 1;
      const { value: id, done } = await ids.next();
      if (done) return;
      await pace.next();
      const row = await look(id, options);
      if (row) options.onRow(row);
      if (row?.state !== 'migrated' && row?.state !== 'ready') left += 1;
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
}

async function look(id: string, options: BulkOptions): Promise<BulkRow | undefined> {
  const { migrator, store, dryRun } = options;
  const { maxIdLength } = migrator.limits;
  if (id.length > maxIdLength)
    return refusedName(
      id,
      LEGACY_TOO_LARGE.with(`${shownKey(id)}: an id of ${id.length} of ${maxIdLength} characters`),
    );
  const plan = await migrator.plan(id);
  if (!plan.conversation) {
    // The name itself cannot be read, so the key cannot be asked for: a scan shows it with the replacement character.
    if (plan.faults.length === 0 && id.includes('\ufffd'))
      return refusedName(id, LEGACY_UNREADABLE.with(`${shownKey(id)}: the name is not UTF-8`));
    return plan.faults.length > 0 ? rowOf(id, 'unreadable', plan) : undefined;
  }
  const call = await store.read(id);
  if (call.session) return rowOf(id, await known(id, call, plan.conversation, options), plan);
  if (dryRun) return rowOf(id, 'ready', plan);
  const outcome = await migrator.migrate(id, plan);
  switch (outcome.kind) {
    case 'migrated':
      if (outcome.fence === 0)
        await migrator.enterUnsent(options.pool, { callRef: outcome.callRef, callConnectionId: id });
      return rowOf(id, 'migrated', plan);
    case 'absent':
      return undefined;
    default:
      return rowOf(id, outcome.kind, plan);
  }
}

/** A record stands. One that came from the flat keys may lack what comes after it, should the process that wrote it have died. */
async function known(
  id: string,
  call: StoredCall,
  conversation: MigratedConversation,
  { migrator, pool, dryRun }: BulkOptions,
): Promise<BulkState> {
  const origin = call.session && legacyOrigin(call.session);
  if (!origin) return 'exists';
  if (!dryRun) {
    await migrator.retire(origin);
    const isOwned = await migrator.isOwned(id);
    if (!isOwned && call.unarchived.length > 0)
      await migrator.enterUnsent(pool, { callRef: conversation.session.callRef, callConnectionId: id });
  }
  const before = new Map(origin.keys.map(({ key, digest }) => [key, digest]));
  // A key that is gone meanwhile has expired; one that is new or another was written since.
  const isSame = conversation.session.legacy.keys.every(({ key, digest }) => before.get(key) === digest);
  return isSame ? 'done' : 'diverged';
}

function rowOf(id: string, state: BulkState, { conversation, faults, bytes, targets }: LegacyPlan): BulkRow {
  return {
    id: shownKey(id),
    state,
    generation: conversation?.session.legacy.generation,
    entries: conversation?.history.length ?? 0,
    bytes,
    keys: conversation?.session.legacy.keys.map(({ key }) => shownKey(key)) ?? [],
    targets: [...targets],
    faults,
  };
}

function refusedName(id: string, error: RtvoiceError): BulkRow {
  const faults = [{ key: shownKey(id), code: error.code, reason: error.message }];
  return {
    id: shownKey(id),
    state: 'unreadable',
    generation: undefined,
    entries: 0,
    bytes: 0,
    keys: [],
    targets: [],
    faults,
  };
}

/** Lets one through each 1/rate seconds. */
class Pace {
  readonly #clock: Clock;
  readonly #periodMs: number;
  #nextMs: number;

  constructor(clock: Clock, ratePerSecond: number) {
    this.#clock = clock;
    this.#periodMs = 1000 / ratePerSecond;
    this.#nextMs = clock.monotonicMs();
  }

  async next(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const atMs = Math.max(nowMs, this.#nextMs);
    this.#nextMs = atMs + this.#periodMs;
    if (atMs > nowMs) await sleep(this.#clock, atMs - nowMs);
  }
}
