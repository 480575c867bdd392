import { RECORD_VERSION } from '../../contract/records.ts';
import { systemClock } from '../../platform/clock.ts';
import { RECORD_UNREADABLE } from '../envelope.ts';
import type { CallSummary, CheckpointOutcome, HistoryEntry, OutboxEntry, SessionRecord, StoredCall } from '../ports.ts';
import { type CallFigures, callAnalytics } from './analytics.ts';
import { type ConversationLimits, checkContext, checkHistoryText, DEFAULT_LIMITS } from './conversation_limits.ts';
import type { CallIdentity, ConversationOptions } from './conversation_options.ts';
import { CALL_FENCED } from './errors.ts';
import { applicationIdentity, type ConversationSource, nextApplicationOwner } from './library_owner.ts';
import { SUMMARY_ID, turnId } from './record_ids.ts';
import { Unarchived } from './unarchived.ts';

export type { CallIdentity, ConversationOptions } from './conversation_options.ts';

export type FromRedisOutcome =
  | { kind: 'loaded'; manager: ConversationManager }
  /** The call is claimed, but Redis has no session of it: go on with `start`. */
  | { kind: 'empty' }
  /** A higher fence is stored: ask `grant` again with it as floor. */
  | { kind: 'refused'; storedFence: number };

/**
 * Working copy of one call's conversation: memory first, written through to Redis by `persist`. Until Redis has confirmed a write
 * everything stays dirty here, and until Cosmos DB has confirmed a turn it stays here too, so that either store may lose its data.
 */
export class ConversationManager {
  readonly #options: ConversationOptions;
  readonly #limits: ConversationLimits;
  readonly #unarchived: Unarchived;
  #session: SessionRecord;
  #context: Record<string, unknown>;
  /** Ends with the newest entry, without gaps; as many as Redis keeps, and all that Redis has not confirmed. */
  #history: HistoryEntry[];
  #summary: CallSummary | undefined;
  #profileUpdates = 0;
  #confirmedSeq: number;
  #writeId: number;
  /** Counts changes: what was confirmed at this number is clean. */
  #change = 0;
  #confirmedChange = 0;
  /** The change that touched the context last: a context that Redis has is not sent again. */
  #contextChange = 0;
  #fullDue = false;
  #fenced = false;
  #running: Promise<unknown> = Promise.resolve();
  #waiting: Promise<void> | undefined;

  private constructor(
    options: ConversationOptions,
    call: StoredCall & { session: SessionRecord },
    { lastWriteId, quarantined }: { lastWriteId: number; quarantined: readonly OutboxEntry[] },
  ) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#session = call.session;
    this.#context = call.context;
    this.#history = call.history;
    this.#unarchived = new Unarchived({ pending: call.unarchived, quarantined }, this.#limits.maxUnarchivedLength);
    this.#confirmedSeq = call.session.nextSeq - 1;
    this.#writeId = lastWriteId;
  }

  /** A call that has no record yet. Nothing is written before the first `persist`. */
  static start(options: ConversationOptions, identity: CallIdentity, state: string): ConversationManager {
    const session = { ...identity, v: RECORD_VERSION, state, recentEventIds: [], dialogue: null, nextSeq: 1 };
    const nothing = { session, context: {}, history: [], unarchived: [] };
    const manager = new ConversationManager(options, nothing, { lastWriteId: 0, quarantined: [] });
    manager.#changed();
    manager.#contextChange = manager.#change;
    return manager;
  }

  /** For applications: the conversation as Redis has it, or a new one. Rejects with ERR_CALL_FENCED while a worker holds the call. */
  static fromRedis(sessionId: string, source: ConversationSource): Promise<ConversationManager>;
  /** For workers, takeover: claims the call under the owner's fence and loads what Redis holds. */
  static fromRedis(options: ConversationOptions, callConnectionId: string): Promise<FromRedisOutcome>;
  static fromRedis(
    first: string | ConversationOptions,
    second: ConversationSource | string,
  ): Promise<ConversationManager | FromRedisOutcome> {
    if (typeof first === 'string') return ConversationManager.#open(first, second as ConversationSource);
    return ConversationManager.#claim(first, second as string);
  }

  static async #open(sessionId: string, source: ConversationSource): Promise<ConversationManager> {
    const clock = source.clock ?? systemClock;
    const options = { store: source.calls, owner: await nextApplicationOwner(source, sessionId), clock };
    const outcome = await ConversationManager.#claim(options, sessionId);
    if (outcome.kind === 'refused') throw CALL_FENCED.with('another process has just opened this conversation');
    if (outcome.kind === 'loaded') return outcome.manager;
    return ConversationManager.start(options, applicationIdentity(sessionId, clock), 'open');
  }

  static async #claim(options: ConversationOptions, callConnectionId: string): Promise<FromRedisOutcome> {
    const claim = await options.store.claim({ callConnectionId, ...options.owner });
    if (claim.kind === 'refused') return claim;
    const { session, history } = claim.call;
    if (!session) return { kind: 'empty' };
    const newest = history.at(-1);
    if (newest && newest.seq !== session.nextSeq - 1)
      throw RECORD_UNREADABLE.with(`history of ${callConnectionId} ends at ${newest.seq}`);
    return { kind: 'loaded', manager: new ConversationManager(options, { ...claim.call, session }, claim) };
  }

  get session(): Readonly<SessionRecord> {
    return this.#session;
  }

  get context(): Readonly<Record<string, unknown>> {
    return this.#context;
  }

  get history(): readonly HistoryEntry[] {
    return this.#history;
  }

  /** The end record, once `finish` was called here. */
  get summary(): Readonly<CallSummary> | undefined {
    return this.#summary;
  }

  get fenced(): boolean {
    return this.#fenced;
  }

  /** Something here is not confirmed by Redis. */
  get dirty(): boolean {
    return this.#fullDue || this.#change !== this.#confirmedChange;
  }

  /** Where the newest turn stands. */
  get storedIn(): 'memory' | 'redis' | 'cosmos' {
    if (this.#confirmedSeq < this.#session.nextSeq - 1) return 'memory';
    return this.#unarchived.has(turnId(this.#session.nextSeq - 1)) ? 'redis' : 'cosmos';
  }

  /** Merges `patch` into the context; a member that is undefined goes. */
  updateContext(patch: Record<string, unknown>): void {
    if (Object.entries(patch).every(([name, value]) => Object.is(this.#context[name], value))) return;
    const merged = { ...this.#context, ...patch };
    for (const [name, value] of Object.entries(merged)) if (value === undefined) delete merged[name];
    checkContext(merged, this.#limits);
    this.#context = merged;
    this.#changed();
    this.#contextChange = this.#change;
  }

  updateSession(patch: { state?: string; recentEventIds?: readonly string[]; dialogue?: unknown }): void {
    const { recentEventIds = this.#session.recentEventIds, ...rest } = patch;
    this.#session = {
      ...this.#session,
      ...rest,
      recentEventIds: recentEventIds.slice(-this.#limits.maxRecentEventIds),
    };
    this.#changed();
  }

  /** One turn: history now, and on its way to the archive with the next `persist`. `user` is another name of `caller`. */
  appendToHistory(role: HistoryEntry['role'] | 'user', text: string): HistoryEntry {
    const seq = this.#session.nextSeq;
    checkHistoryText(seq, text, this.#limits);
    const entry: HistoryEntry = {
      seq,
      role: role === 'user' ? 'caller' : role,
      text,
      atMs: this.#options.clock.wallMs(),
    };
    this.#history.push(entry);
    this.#session = { ...this.#session, nextSeq: seq + 1 };
    this.#unarchived.add({ id: turnId(seq), kind: 'turn', body: { ...entry, callRef: this.#session.callRef } });
    this.#changed();
    return entry;
  }

  /** `userId` is the caller's pseudonym, never a phone number: it becomes a document id. */
  updateProfile(userId: string, patch: Record<string, unknown>): void {
    checkContext(patch, this.#limits);
    const { callConnectionId } = this.#session;
    this.#profileUpdates += 1;
    const id = `profile-${callConnectionId}-${this.#options.owner.fence}-${this.#profileUpdates}`;
    this.#unarchived.add({
      id,
      kind: 'profile',
      body: { userId, patch, callConnectionId, atMs: this.#options.clock.wallMs() },
    });
    this.#changed();
  }

  /** The end record, behind the call's figures; the first one stands. Written with the next `persist`. */
  finish(
    end: Pick<CallSummary, 'reason' | 'workers' | 'partial'> & { endedAtMs: number },
    figures?: CallFigures,
  ): void {
    if (this.#summary || this.#unarchived.has(SUMMARY_ID)) return;
    const { callConnectionId, callRef, correlationId, from, to, startedAtMs, nextSeq } = this.#session;
    const turns = nextSeq - 1;
    this.#summary = {
      v: RECORD_VERSION,
      callConnectionId,
      callRef,
      correlationId,
      from,
      to,
      startedAtMs,
      turns,
      ...end,
    };
    // Before the end record: nothing is waited for behind that.
    if (figures) this.#unarchived.add(callAnalytics(this.#summary, figures));
    this.#unarchived.add({ id: SUMMARY_ID, kind: 'summary', body: { ...this.#summary } });
    this.#changed();
  }

  /** Records that Redis has not confirmed. */
  get unstored(): OutboxEntry[] {
    return this.#unarchived.unstored();
  }

  /** Ids of the records that Cosmos DB has not confirmed: what an archiver that takes the call over has to wait for. */
  get unarchivedIds(): string[] {
    return this.#unarchived.ids();
  }

  get unarchivedCount(): number {
    return this.#unarchived.size;
  }

  /** Cosmos DB has confirmed these outbox ids, or every turn up to a sequence number: memory lets them go. */
  archived(confirmed: readonly string[] | number): void {
    const upTo = (seq: number) => this.#unarchived.ids().filter((id) => id.startsWith('turn-') && id <= turnId(seq));
    this.#unarchived.remove(typeof confirmed === 'number' ? upTo(confirmed) : confirmed);
  }

  /** Cosmos DB refuses these for good: they no longer count as waiting, but are written again should Redis be emptied. */
  quarantined(ids: readonly string[]): void {
    this.#unarchived.quarantined(ids);
  }

  /**
   * Writes what changed since the last confirmed write; `full` writes everything again under the same ids, for a Redis that was
   * emptied (which a checkpoint also finds out by itself). One write is in flight at a time; calls in between share the next.
   * Rejects with ERR_REDIS_… (state stays dirty and goes with the next call) or ERR_CALL_FENCED (for good).
   */
  persist(options: { full?: boolean } = {}): Promise<void> {
    this.#fullDue ||= options.full ?? false;
    if (this.#waiting) return this.#waiting;
    const run = this.#running.then(() => {
      this.#waiting = undefined;
      return this.#write();
    });
    this.#waiting = run;
    this.#running = run.catch(() => undefined);
    return run;
  }

  /** Extends the TTLs in Redis, or writes everything again where Redis has lost some. */
  async refresh(): Promise<void> {
    const { callConnectionId } = this.#session;
    const outcome = await this.#options.store.refresh({ callConnectionId, ...this.#options.owner });
    if (outcome === 'fenced') throw this.#fencedOut();
    if (outcome === 'missing') await this.persist({ full: true });
  }

  async #write(): Promise<void> {
    if (this.#fenced) throw this.#fencedOut();
    if (!this.dirty) return;
    const startMs = this.#options.clock.monotonicMs();
    let outcome = await this.#checkpoint();
    if (outcome.kind === 'unclaimed') {
      const { callConnectionId } = this.#session;
      const claim = await this.#options.store.claim({ callConnectionId, ...this.#options.owner });
      if (claim.kind === 'refused') throw this.#fencedOut(claim.storedFence);
    }
    if (outcome.kind === 'repeated') this.#writeId = Math.max(this.#writeId, outcome.lastWriteId);
    if (outcome.kind !== 'written' && outcome.kind !== 'fenced') {
      // Also when a fresh write id counts as repeated: it was not written, this manager only did not know how far the ids had come.
      this.#fullDue = true;
      outcome = await this.#checkpoint();
    }
    if (outcome.kind === 'fenced') throw this.#fencedOut(outcome.storedFence);
    if (outcome.kind !== 'written') throw RECORD_UNREADABLE.with(`full checkpoint answered ${outcome.kind}`);
    this.#options.metrics?.persisted(this, (this.#options.clock.monotonicMs() - startMs) / 1000);
  }

  async #checkpoint(): Promise<CheckpointOutcome> {
    const { callConnectionId, callRef, nextSeq } = this.#session;
    const full = this.#fullDue;
    const change = this.#change;
    const outbox = full ? this.#unarchived.all() : this.#unarchived.unstored();
    const history = this.#history.filter((entry) => full || entry.seq > this.#confirmedSeq);
    this.#writeId += 1;
    const outcome = await this.#options.store.checkpoint({
      callConnectionId,
      callRef,
      ...this.#options.owner,
      writeId: this.#writeId,
      session: this.#session,
      ...(full || this.#contextChange > this.#confirmedChange ? { context: this.#context } : {}),
      history,
      outbox,
      full,
      ...(this.#summary ? { summary: this.#summary } : {}),
    });
    if (outcome.kind === 'written') this.#confirm({ change, seq: nextSeq - 1, outbox, full });
    return outcome;
  }

  #confirm(written: { change: number; seq: number; outbox: readonly OutboxEntry[]; full: boolean }): void {
    this.#confirmedChange = written.change;
    this.#confirmedSeq = written.seq;
    if (written.full) this.#fullDue = false;
    const ids = written.outbox.map((entry) => entry.id);
    this.#unarchived.stored(ids);
    const keepFrom = Math.min(this.#confirmedSeq + 1, this.#session.nextSeq - this.#limits.maxHistory);
    this.#history = this.#history.filter((entry) => entry.seq >= keepFrom);
    if (ids.length > 0) this.#options.onStored?.(this.#session.callConnectionId, ids);
  }

  #changed(): void {
    this.#change += 1;
    this.#options.metrics?.changed(this);
  }

  #fencedOut(storedFence?: number): Error {
    this.#fenced = true;
    this.#options.metrics?.gone(this);
    return CALL_FENCED.with(
      storedFence === undefined ? undefined : `stored fence ${storedFence}, ours ${this.#options.owner.fence}`,
    );
  }
}
