import type { SealedText } from '../../security/sealing/sealed_text.ts';
import { ENVELOPE_VERSION, plainCodec, RECORD_VERSION_UNKNOWN, type RecordCodec } from '../envelope.ts';
import type { CallStore, Checkpoint, CheckpointOutcome, HistoryEntry, OutboxEntry, StoredCall } from '../ports.ts';
import type { RedisClient } from '../redis/client.ts';
import { CHECKPOINT_SCRIPT } from './checkpoint_script.ts';
import { CLAIM_SCRIPT } from './claim_script.ts';
import { contentHash } from './content.ts';
import { CALL_RECORD_INVALID } from './errors.ts';
import type { CallKeys } from './keys.ts';
import { READ_SCRIPT } from './read_script.ts';
import { turnId } from './record_ids.ts';
import { REFRESH_SCRIPT } from './refresh_script.ts';
import { historyFrom, outboxFrom, readableFrom, type StreamItem, sessionFrom } from './stored_records.ts';
import type { CallTtls } from './ttls.ts';
import { turnBody, turnRef } from './turn_record.ts';

/** Entries of the outbox that a claim brings into memory; more than that stay in Redis alone until they are archived. */
const CLAIM_OUTBOX_LIMIT = 2_000;

type CheckpointReply = [
  kind: CheckpointOutcome['kind'] | 'format',
  figure: number,
  callKeys?: number,
  conversationKeys?: number,
];

/** What of a checkpoint goes into Redis as content. The type of its texts keeps out what no codec has seen. */
interface CheckpointRecords {
  session: SealedText;
  context: SealedText | undefined;
  summary: SealedText | undefined;
  history: { seq: number; text: SealedText }[];
  outbox: { entry: OutboxEntry; text: SealedText }[];
}

export interface RedisCallStoreOptions {
  /** The fast-fail client: a command that cannot be sent is an error (ERR_REDIS_…), never queued. */
  redis: RedisClient;
  keys: CallKeys;
  ttls: CallTtls;
  codec?: RecordCodec;
  /** Entries of history that Redis keeps; older ones stand in the outbox or in Cosmos DB. */
  maxHistory?: number;
}

/** {@link CallStore} on Redis: every method is one script in the call's slot. */
export class RedisCallStore implements CallStore {
  readonly maxHistory: number;
  readonly #redis: RedisClient;
  readonly #keys: CallKeys;
  readonly #ttls: CallTtls;
  readonly #codec: RecordCodec;

  constructor(options: RedisCallStoreOptions) {
    this.#redis = options.redis;
    this.#keys = options.keys;
    this.#ttls = options.ttls;
    this.#codec = options.codec ?? plainCodec;
    this.maxHistory = options.maxHistory ?? 400;
  }

  async claim(request: {
    callConnectionId: string;
    fence: number;
    incarnation: string;
  }): ReturnType<CallStore['claim']> {
    checkFence(request);
    const id = request.callConnectionId;
    const { owner, session, context, history, outbox, quarantine } = this.#keys;
    const ttls = this.#ttls;
    const [kind, figure, ...records] = await this.#redis.run<[string, number, ...unknown[]]>(
      CLAIM_SCRIPT,
      [owner(id), session(id), context(id), history(id), outbox(id), quarantine(id)],
      [
        request.fence,
        request.incarnation,
        ENVELOPE_VERSION,
        ttls.ownerMs,
        ttls.sessionMs,
        ttls.contextMs,
        ttls.historyMs,
        ttls.outboxMs,
        CLAIM_OUTBOX_LIMIT,
      ],
    );
    if (kind === 'format') throw unknownFormat(id, figure);
    if (kind === 'refused') return { kind: 'refused', storedFence: figure };
    const call = await this.#decode(id, records);
    // Behind the session, by which a codec that seals finds the key.
    const quarantined = await readableFrom(this.#codec, id, records[4] as StreamItem[]);
    return { kind: 'claimed', lastWriteId: figure, call, quarantined };
  }

  async checkpoint(checkpoint: Checkpoint): Promise<CheckpointOutcome> {
    checkFence(checkpoint);
    checkHistory(checkpoint);
    const id = checkpoint.callConnectionId;
    const { owner, session, context, history, outbox, outboxIds, summary } = this.#keys;
    const [kind, figure, callKeys = 0, conversationKeys = 0] = await this.#redis.run<CheckpointReply>(
      CHECKPOINT_SCRIPT,
      [owner(id), session(id), context(id), history(id), outbox(id), outboxIds(id), summary(id)],
      await this.#checkpointArguments(checkpoint),
    );
    switch (kind) {
      case 'format':
        throw unknownFormat(id, figure);
      case 'fenced':
      case 'unclaimed':
        return { kind, storedFence: figure };
      case 'gap':
        return { kind, storedSeq: figure };
      case 'repeated':
        return { kind, lastWriteId: figure };
      default:
        this.#countKeys(callKeys, conversationKeys);
        return { kind };
    }
  }

  async refresh(request: {
    callConnectionId: string;
    fence: number;
    incarnation: string;
  }): ReturnType<CallStore['refresh']> {
    checkFence(request);
    const id = request.callConnectionId;
    const { owner, session, context, history, outbox, outboxIds } = this.#keys;
    const ttls = this.#ttls;
    return this.#redis.run<'refreshed' | 'fenced' | 'missing'>(
      REFRESH_SCRIPT,
      [owner(id), session(id), context(id), history(id), outbox(id), outboxIds(id)],
      [request.fence, request.incarnation, ttls.ownerMs, ttls.sessionMs, ttls.contextMs, ttls.historyMs, ttls.outboxMs],
    );
  }

  async read(callConnectionId: string): Promise<StoredCall> {
    const { session, context, history, outbox } = this.#keys;
    const id = callConnectionId;
    const reply = await this.#redis.run<unknown[]>(
      READ_SCRIPT,
      [session(id), context(id), history(id), outbox(id)],
      [CLAIM_OUTBOX_LIMIT],
    );
    return this.#decode(id, reply);
  }

  #countKeys(call: number, conversation: number): void {
    if (call > 0) this.#redis.metrics.keyCreated('call', call);
    if (conversation > 0) this.#redis.metrics.keyCreated('conversation', conversation);
  }

  /** The session comes first: a codec that seals finds the call's key by it. */
  async #sealed(checkpoint: Checkpoint): Promise<CheckpointRecords> {
    const { callConnectionId: id, session, context, summary } = checkpoint;
    const codec = this.#codec;
    const records: CheckpointRecords = {
      session: await codec.seal({ kind: 'session', id }, session),
      context: context && (await codec.seal({ kind: 'context', id }, context)),
      summary: summary && (await codec.seal({ kind: 'summary', id }, summary)),
      history: [],
      outbox: [],
    };
    const turns = new Map<string, { entry: HistoryEntry; text: SealedText }>();
    for (const entry of checkpoint.history) {
      const text = await codec.seal(turnRef(id, entry.seq), turnBody(entry, session.callRef));
      records.history.push({ seq: entry.seq, text });
      turns.set(turnId(entry.seq), { entry, text });
    }
    for (const entry of checkpoint.outbox) {
      const turn = turns.get(entry.id);
      const same = turn && isSameTurn(turn.entry, entry.body) ? turn.text : undefined;
      const text = same ?? (await codec.seal({ kind: entry.kind, id: `${id}/${entry.id}` }, entry.body));
      records.outbox.push({ entry, text });
    }
    return records;
  }

  async #checkpointArguments(checkpoint: Checkpoint): Promise<(string | number)[]> {
    const { session, history } = checkpoint;
    const ttls = this.#ttls;
    const turnSeqs = checkpoint.outbox.map((entry) => (entry.kind === 'turn' ? Number(entry.body.seq) || 0 : 0));
    const records = await this.#sealed(checkpoint);
    return [
      checkpoint.fence,
      checkpoint.incarnation,
      checkpoint.writeId,
      ENVELOPE_VERSION,
      ttls.ownerMs,
      ttls.sessionMs,
      ttls.contextMs,
      ttls.historyMs,
      ttls.outboxMs,
      ttls.summaryMs,
      this.maxHistory,
      Math.max(0, ...turnSeqs),
      checkpoint.full ? 1 : 0,
      session.nextSeq - 1 - history.length,
      records.session,
      records.context ?? '',
      records.summary ?? '',
      records.history.length,
      ...records.history.flatMap(({ seq, text }) => [seq, text]),
      records.outbox.length,
      ...records.outbox.flatMap(({ entry, text }) => [
        dedupeId(entry, this.#codec.tag?.(text)),
        entry.id,
        entry.kind,
        text,
      ]),
    ];
  }

  async #decode(id: string, [session, context, history, outbox]: unknown[]): Promise<StoredCall> {
    const codec = this.#codec;
    return {
      session:
        typeof session === 'string' ? sessionFrom(id, await codec.open({ kind: 'session', id }, session)) : undefined,
      context: typeof context === 'string' ? await codec.open({ kind: 'context', id }, context) : {},
      history: await historyFrom(codec, id, history as StreamItem[]),
      unarchived: await outboxFrom(codec, id, outbox as StreamItem[]),
    };
  }
}

/** The rest of a turn is made together with these. */
function isSameTurn(entry: HistoryEntry, body: Record<string, unknown>): boolean {
  return entry.text === body.text && entry.atMs === body.atMs && entry.role === body.role;
}

/**
 * The same id with other content (two owners after Redis was emptied) is another record: neither may vanish. `tag` is that of the
 * sealed record: a bare hash of a short text or a number can be found by trying.
 */
export function dedupeId(entry: OutboxEntry, tag = contentHash(entry.body)): string {
  return `${entry.id}#${tag}`;
}

function unknownFormat(id: string, format: number): Error {
  return RECORD_VERSION_UNKNOWN.with(`call ${id}: version ${format}, written here: ${ENVELOPE_VERSION}`);
}

function checkFence(request: { callConnectionId: string; fence: number; incarnation: string }): void {
  if (!Number.isSafeInteger(request.fence) || request.fence < 1)
    throw CALL_RECORD_INVALID.with('fence is not a whole number above 0');
  if (request.incarnation === '') throw CALL_RECORD_INVALID.with('incarnation is empty');
  if (request.callConnectionId === '') throw CALL_RECORD_INVALID.with('callConnectionId is empty');
}

function checkHistory({ session, history, writeId }: Checkpoint): void {
  if (!Number.isSafeInteger(writeId) || writeId < 1)
    throw CALL_RECORD_INVALID.with('writeId is not a whole number above 0');
  const firstSeq = session.nextSeq - history.length;
  history.forEach((entry, index) => {
    if (entry.seq !== firstSeq + index) {
      throw CALL_RECORD_INVALID.with(
        `history must end before session.nextSeq (${session.nextSeq}) without gaps, found seq ${entry.seq}`,
      );
    }
  });
}
