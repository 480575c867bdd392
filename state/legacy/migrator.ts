import { type PoolRef, safeIdentifier } from '../../contract/ids.ts';
import { errorCode, RtvoiceError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { type CallKeys, callKeys } from '../calls/keys.ts';
import type { CallTtls } from '../calls/ttls.ts';
import { plainCodec, type RecordCodec } from '../envelope.ts';
import { Component } from '../keys/component.ts';
import type { RedisKeyManager } from '../keys/key_manager.ts';
import type { RedisClient } from '../redis/client.ts';
import { chunked, entryArguments } from './chunks.ts';
import { convertLegacy, type LegacyOrigin, type MigratedConversation } from './convert.ts';
import { shownKey } from './errors.ts';
import { LEGACY_LIMITS, type LegacyLimits } from './limits.ts';
import type { LegacyMetrics } from './metrics.ts';
import type { Generation } from './payload.ts';
import { LegacyReader } from './reader.ts';
import { APPEND_LEGACY_SCRIPT, ENTER_UNSENT_SCRIPT, MIGRATE_LEGACY_SCRIPT, RETIRE_LEGACY_SCRIPT } from './scripts.ts';
import { sealConversation } from './sealed_conversation.ts';
import type { LegacyFault } from './source.ts';

const COMPONENTS = {
  recording: Component.RECORDING,
  participants: Component.PARTICIPANTS,
  mediaStream: Component.MEDIA_STREAM,
} as const;
const COMPONENT_NAMES = ['recording', 'participants', 'mediaStream'] as const;

export interface LegacyMigratorOptions {
  /** Where our records go. */
  redis: RedisClient;
  /** Where the flat keys are, when that is another server. */
  legacyRedis?: RedisClient;
  keys: RedisKeyManager;
  ttls: CallTtls;
  codec?: RecordCodec;
  /** Entries of history that Redis keeps, as the call store has it. */
  maxHistory?: number;
  /** How long a flat key stays readable after the move. */
  graceMs: number;
  limits?: Partial<LegacyLimits>;
  metrics: LegacyMetrics;
  log: Log;
}

/** What stands under the flat keys of one id; nothing was written. */
export interface LegacyPlan {
  /** Undefined when nothing is there, or nothing of it can be read. */
  readonly conversation: MigratedConversation | undefined;
  readonly faults: readonly LegacyFault[];
  readonly bytes: number;
  /** Names of the keys that the conversation's records go to. */
  readonly targets: readonly string[];
}

type MigrateReply = [
  kind: 'written' | 'exists' | 'continued',
  fence: number,
  callKeys?: number,
  conversationKeys?: number,
];

export type LegacyOutcome =
  /** Nothing stands under the flat keys of this id. */
  | { kind: 'absent' }
  /** The keys that stand there are left as they are. */
  | { kind: 'unreadable'; faults: readonly LegacyFault[] }
  /** The records stand, and the flat keys have their grace time. `fence` 0: no owner has claimed the call. */
  | { kind: 'migrated'; generation: Generation; faults: readonly LegacyFault[]; callRef: string; fence: number }
  /** Somebody else was quicker: the call has a record. */
  | { kind: 'exists' }
  /** It was moved over before, went on, and its records have expired since: what is under the flat keys is old. */
  | { kind: 'continued' };

/**
 * Moves one call or conversation from the flat keys to ours. Steps: read; append what the outbox must have, in bounded parts; write
 * everything in one script that refuses when a record stands; give the flat keys their grace time. Each may be repeated by anyone at
 * any time, so a process that dies between two of them leaves nothing that the next reader does not put right.
 */
export class LegacyMigrator {
  readonly limits: LegacyLimits;
  readonly #options: LegacyMigratorOptions;
  readonly #legacyRedis: RedisClient;
  readonly #reader: LegacyReader;
  readonly #codec: RecordCodec;
  readonly #keys: CallKeys;

  constructor(options: LegacyMigratorOptions) {
    this.limits = { ...LEGACY_LIMITS, ...options.limits };
    this.#options = options;
    this.#legacyRedis = options.legacyRedis ?? options.redis;
    this.#reader = new LegacyReader(this.#legacyRedis, this.limits);
    this.#codec = options.codec ?? plainCodec;
    this.#keys = callKeys(options.keys);
  }

  /** Reads alone. Rejects with ERR_REDIS_…. */
  async plan(id: string): Promise<LegacyPlan> {
    const source = await this.#reader.read(id);
    const bytes = source.values.reduce((sum, value) => sum + value.bytes, 0);
    try {
      const { conversation, faults } = convertLegacy(source, this.limits);
      const targets = conversation ? this.#targets(id, conversation) : [];
      return { conversation, faults, bytes, targets };
    } catch (error) {
      if (!(error instanceof RtvoiceError)) throw error;
      const fault = { key: shownKey(id), code: errorCode(error), reason: error.message };
      return { conversation: undefined, faults: [...source.faults, fault], bytes, targets: [] };
    }
  }

  /** `plan`: when it was made already. Rejects with ERR_REDIS_… when a store does not answer; may then be repeated. */
  async migrate(id: string, plan?: LegacyPlan): Promise<LegacyOutcome> {
    const { conversation, faults } = plan ?? (await this.plan(id));
    const { metrics, log } = this.#options;
    const call = safeIdentifier(id);
    if (!conversation) {
      if (faults.length === 0) return { kind: 'absent' };
      metrics.moved('unknown', 'unreadable');
      log.warn({ call, codes: codesOf(faults) }, 'flat keys of a call cannot be read and were left as they are');
      return { kind: 'unreadable', faults };
    }
    const { generation } = conversation.session.legacy;
    const [kind, fence] = await this.#write(id, conversation);
    if (kind !== 'written') {
      metrics.moved(generation, kind);
      return { kind };
    }
    await this.retire(conversation.session.legacy);
    metrics.moved(generation, faults.length > 0 ? 'partial' : 'migrated');
    const turns = conversation.history.length;
    log.info({ call, generation, turns, codes: codesOf(faults) }, 'a conversation was moved over from flat keys');
    return { kind: 'migrated', generation, faults, callRef: conversation.session.callRef, fence };
  }

  /** Gives the flat keys that a record came from their grace time. Whoever loads such a record calls it: the writer may have died before. */
  async retire(origin: LegacyOrigin): Promise<void> {
    const { graceMs, metrics } = this.#options;
    await Promise.all(
      origin.keys.map(async ({ key }) => {
        if ((await this.#legacyRedis.run<number>(RETIRE_LEGACY_SCRIPT, [key], [graceMs])) === 1) metrics.retired();
      }),
    );
  }

  /** An archiver of the pool drains the stream of a conversation that nobody owns, and ends it. Only after its records stand. */
  async enterUnsent(pool: PoolRef, call: { callRef: string; callConnectionId: string }): Promise<void> {
    const { redis, keys, ttls } = this.#options;
    const indexes = [keys.systemKey(pool, Component.UNSENT), keys.systemKey(pool, Component.UNSENT_CALLS)];
    await redis.run(ENTER_UNSENT_SCRIPT, indexes, [call.callRef, call.callConnectionId, ttls.outboxMs]);
  }

  /** An owner has claimed the call at some time. */
  async isOwned(id: string): Promise<boolean> {
    return (await this.#options.redis.command<string | null>('HGET', this.#keys.owner(id), 'fence')) !== null;
  }

  #targets(id: string, { history, outbox, components }: MigratedConversation): string[] {
    const { keys } = this.#options;
    return [
      ...[this.#keys.session(id), this.#keys.context(id)],
      ...(history.length > 0 ? [this.#keys.history(id)] : []),
      ...(outbox.length > 0 ? [this.#keys.outbox(id), this.#keys.outboxIds(id)] : []),
      ...COMPONENT_NAMES.filter((name) => components[name]).map((name) => keys.callKey(id, COMPONENTS[name])),
    ];
  }

  async #write(id: string, conversation: MigratedConversation): Promise<['written' | 'exists' | 'continued', number]> {
    const { redis, keys, ttls, maxHistory = 400 } = this.#options;
    const { owner, session, context, history, outbox, outboxIds } = this.#keys;
    const sealed = await sealConversation(this.#codec, id, conversation, maxHistory);
    const chunks = chunked(sealed.outbox);
    const last = chunks.pop() ?? [];
    for (const chunk of chunks) {
      const args = [ttls.outboxMs, ...entryArguments(chunk)];
      const reply = await redis.run<string>(APPEND_LEGACY_SCRIPT, [session(id), outbox(id), outboxIds(id)], args);
      if (reply === 'exists') return ['exists', 0];
    }
    const [kind, fence, callKeysMade = 0, conversationKeysMade = 0] = await redis.run<MigrateReply>(
      MIGRATE_LEGACY_SCRIPT,
      [
        ...[owner(id), session(id), context(id), history(id), outbox(id), outboxIds(id)],
        ...COMPONENT_NAMES.map((name) => keys.callKey(id, COMPONENTS[name])),
      ],
      [
        ...[ttls.sessionMs, ttls.contextMs, ttls.historyMs, ttls.outboxMs, conversation.history.length],
        ...[sealed.session, sealed.context, sealed.recording, sealed.participants, sealed.mediaStream],
        sealed.history.length,
        ...sealed.history.flatMap(({ seq, record }) => [seq, record]),
        ...entryArguments(last),
      ],
    );
    if (callKeysMade > 0) redis.metrics.keyCreated('call', callKeysMade);
    if (conversationKeysMade > 0) redis.metrics.keyCreated('conversation', conversationKeysMade);
    return [kind, fence];
  }
}

function codesOf(faults: readonly LegacyFault[]): string[] {
  return [...new Set(faults.map(({ code }) => code))];
}
