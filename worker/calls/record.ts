import type { CallEndReason } from '../../contract/reasons.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { BlindIndex } from '../../security/sealing/blind_index.ts';
import type { CallFigures } from '../../state/calls/analytics.ts';
import { ConversationManager, type ConversationOptions } from '../../state/calls/conversation_manager.ts';
import type { HistoryEntry } from '../../state/ports.ts';
import type { Profile, Profiles } from '../../state/profiles/profiles.ts';
import type { CallSpool } from '../spooling.ts';
import type { VoiceSessionOptions } from '../voice/ports.ts';
import type { Call } from './call.ts';
import { type CallFacts, callState } from './facts.ts';

/** While Redis is away a dirty call tries again this often; its return is also told at once by `rewrite`. */
const RETRY_MS = 1_000;

export interface RecordOptions {
  conversation: Pick<ConversationOptions, 'store' | 'metrics' | 'limits' | 'onStored'>;
  clock: Clock;
  worker: string;
  /** Who calls, from earlier calls. */
  profiles: Pick<Profiles, 'read' | 'forget'>;
  /** Where records go that Redis cannot take. */
  spool: CallSpool;
  /** Turns a caller's number or id into a stable pseudonym. */
  blindIndex: BlindIndex;
}

interface StoredDialogue {
  facts: CallFacts;
  voice: unknown;
}

/** What is written down of one call: the conversation's copy in memory and when it goes to the stores. The conversation never waits for it. */
export class CallRecord {
  readonly #options: RecordOptions;
  readonly #call: Call;
  readonly #conversation: ConversationOptions;
  readonly #archivedAll = new Set<() => void>();
  #manager: ConversationManager | undefined;
  #loaded = false;
  #voice: unknown = null;
  #workers: string[];
  #retrying = false;
  #writtenAtMs = 0;
  #profile: Profile | undefined;

  constructor(options: RecordOptions, call: Call) {
    this.#options = options;
    this.#call = call;
    this.#workers = [options.worker];
    void options.profiles.read(options.blindIndex.all(call.ring.from)).then((profile) => {
      this.#profile = profile;
    });
    this.#conversation = {
      ...options.conversation,
      clock: options.clock,
      // The fence of a call taken while Redis was away is known only once its lease is written.
      owner: {
        get fence() {
          return call.fence;
        },
        incarnation: call.incarnation,
      },
    };
  }

  get dirty(): boolean {
    return this.#manager?.dirty ?? false;
  }

  get stored(): 'memory' | 'redis' | 'cosmos' {
    return this.#manager?.storedIn ?? 'memory';
  }

  get unarchivedIds(): readonly string[] {
    return this.#manager?.unarchivedIds ?? [];
  }

  get unarchivedCount(): number {
    return this.#manager?.unarchivedCount ?? 0;
  }

  /** The caller's profile has come by now, and tells of an earlier call. */
  get calledBefore(): boolean {
    return (this.#profile?.callCount ?? 0) > 0;
  }

  /** The call has its id: from now on there is something to write under. */
  open(callConnectionId: string): void {
    if (this.#manager || this.#call.holdsVoice) return;
    const { ref: callRef, ring } = this.#call;
    const { correlationId, serverCallId, from, to } = ring;
    const startedAtMs = this.#options.clock.wallMs();
    this.#manager = ConversationManager.start(
      this.#conversation,
      { callRef, callConnectionId, correlationId, serverCallId, from, to, startedAtMs },
      this.#call.state,
    );
    this.checkpoint();
  }

  /** Takeover: claims the call and loads what Redis has of it. A refusal gives the stored fence. */
  async load(callConnectionId: string): Promise<'loaded' | 'empty' | { storedFence: number }> {
    const outcome = await ConversationManager.fromRedis(this.#conversation, callConnectionId);
    if (outcome.kind === 'refused') return { storedFence: outcome.storedFence };
    if (outcome.kind === 'empty') return 'empty';
    this.#manager = outcome.manager;
    this.#loaded = true;
    this.#voice = (outcome.manager.session.dialogue as StoredDialogue | null)?.voice ?? null;
    const before = outcome.manager.context.workers;
    this.#workers = [...(Array.isArray(before) ? (before as string[]) : []), this.#options.worker];
    return 'loaded';
  }

  /** What the earlier owner knew of the call's state. */
  storedFacts(): { facts: CallFacts | undefined; recentEventIds: readonly string[] } {
    const session = this.#loaded ? this.#manager?.session : undefined;
    return {
      facts: (session?.dialogue as StoredDialogue | null | undefined)?.facts,
      recentEventIds: session?.recentEventIds ?? [],
    };
  }

  resume(): VoiceSessionOptions['resume'] {
    return this.#loaded && this.#manager ? { dialogue: this.#voice, history: this.#manager.history } : undefined;
  }

  append(role: HistoryEntry['role'], text: string): void {
    try {
      this.#manager?.appendToHistory(role, text);
    } catch (error) {
      this.#call.log.error({ code: errorCode(error) }, 'a turn is beyond the limits of a call and is not recorded');
    }
  }

  /** Writes what changed since the last write; calls while a write is in flight share the next one. */
  checkpoint(voice?: unknown): void {
    if (voice !== undefined) this.#voice = voice;
    void this.#persist(false);
  }

  /** Redis lost what it had of this call, or may have: everything is written again under the same ids. */
  rewrite(): void {
    void this.#persist(true);
  }

  /** The end record. */
  finish(reason: CallEndReason, turns: number, figures: CallFigures): void {
    const manager = this.#manager;
    if (!manager) return;
    const userId = this.#userId();
    const patch = { lastCallAtMs: this.#options.clock.wallMs(), lastTurns: turns };
    if (userId !== undefined) manager.updateProfile(userId, patch);
    const endedAtMs = this.#options.clock.wallMs();
    manager.finish({ reason, workers: this.#workers, partial: false, endedAtMs }, figures);
  }

  /** Resolves when Redis has everything; rejects with a store's error. A newer owner's word counts as settled. */
  async settle(): Promise<void> {
    try {
      this.#update();
      await this.#manager?.persist();
      this.#writtenAtMs = this.#options.clock.monotonicMs();
    } catch (error) {
      if (errorCode(error) === 'ERR_CALL_FENCED') return;
      await this.#spool();
      throw error;
    }
  }

  /** Cosmos DB has these entries. */
  archived(ids: readonly string[]): void {
    this.#manager?.archived(ids);
    const userId = this.#userId();
    if (userId !== undefined && ids.some((id) => id.startsWith('profile-'))) void this.#options.profiles.forget(userId);
    this.#checkAllArchived();
  }

  /** Cosmos DB refuses these for good; the quarantine in Redis has them. */
  quarantined(ids: readonly string[]): void {
    this.#manager?.quarantined(ids);
    this.#checkAllArchived();
  }

  /** Resolves when Cosmos DB has confirmed everything, or a newer owner looks after it. */
  allArchived(): Promise<void> {
    if (this.unarchivedCount === 0 || this.#manager?.fenced) return Promise.resolve();
    return new Promise((resolve) => this.#archivedAll.add(resolve));
  }

  /** Extends the TTLs of a call that was silent for long. */
  async refreshIfOlderThan(ageMs: number): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    if (!this.#manager || this.dirty || nowMs - this.#writtenAtMs < ageMs) return;
    await this.#manager.refresh();
    this.#writtenAtMs = nowMs;
  }

  #checkAllArchived(): void {
    if (this.unarchivedCount > 0) return;
    for (const resolve of this.#archivedAll) resolve();
    this.#archivedAll.clear();
  }

  #update(): void {
    const { facts } = this.#call;
    const dialogue: StoredDialogue = { facts: { ...facts, mediaUp: false }, voice: this.#voice };
    this.#manager?.updateContext({ workers: this.#workers });
    this.#manager?.updateSession({ state: callState(facts), recentEventIds: this.#call.recentEventIds(), dialogue });
  }

  async #persist(full: boolean): Promise<void> {
    if (!this.#manager) return;
    try {
      this.#update();
      await this.#manager.persist({ full });
      this.#writtenAtMs = this.#options.clock.monotonicMs();
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ERR_CALL_FENCED') return this.#call.superseded();
      this.#call.log.debug({ code }, 'a checkpoint was not written; the state stays in memory');
      this.#retryLater();
      await this.#spool();
    }
  }

  /** A killed worker must not take along what was said while Redis was away. */
  async #spool(): Promise<void> {
    const manager = this.#manager;
    if (!manager) return;
    const { callConnectionId, callRef } = manager.session;
    await this.#options.spool.keep({ callConnectionId, callRef }, manager.unstored);
  }

  #retryLater(): void {
    if (this.#retrying || this.#call.over) return;
    this.#retrying = true;
    this.#options.clock.after(RETRY_MS, () => {
      this.#retrying = false;
      if (this.dirty && !this.#call.over) void this.#persist(false);
    });
  }

  /** Undefined for a caller who withholds who they are: there is nobody to keep a profile of. */
  #userId(): string | undefined {
    return this.#options.blindIndex.of(this.#call.ring.from);
  }
}
