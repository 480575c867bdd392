import type { AmqpError } from 'rhea';
import type { Clock, Timer } from '../../platform/clock.ts';
import { messageLockLost, sessionLockLost } from './conditions.ts';
import { DuplicateWindow } from './duplicates.ts';
import { type AmqpMessage, newLockToken } from './message.ts';
import { SessionTable } from './sessions.ts';
import { type Consumer, type StoredMessage, sessionOf } from './stored.ts';

export interface QueueSettings {
  readonly sessions: boolean;
  readonly lockMs: number;
  /** Deliveries after which a message is dead. */
  readonly maxDeliveryCount: number;
  /** 0: no duplicate detection. */
  readonly duplicateWindowMs: number;
  readonly maxMessageBytes: number;
}

/** One queue in peek-lock mode, without its wire. Times are those of the broker's wall clock. */
export class BrokerQueue {
  readonly name: string;
  readonly settings: QueueSettings;
  /** Where its messages end that nobody can take; undefined of a dead letter queue. */
  readonly dead: BrokerQueue | undefined;
  readonly sessions = new SessionTable();
  readonly #clock: Clock;
  readonly #duplicates: DuplicateWindow;
  /** By sequence number, which grows: in order. */
  readonly #messages = new Map<number, StoredMessage>();
  readonly #locked = new Map<string, StoredMessage>();
  readonly #consumers = new Set<Consumer>();
  /** Told when a session may have become available. */
  readonly #waiting = new Set<() => void>();
  #lastSequenceNumber = 0;
  #timer: Timer | undefined;

  constructor(name: string, settings: QueueSettings, clock: Clock, isDead = false) {
    this.name = name;
    this.settings = settings;
    this.#clock = clock;
    this.#duplicates = new DuplicateWindow(settings.duplicateWindowMs);
    const deadSettings = {
      ...settings,
      sessions: false,
      duplicateWindowMs: 0,
      maxDeliveryCount: Number.POSITIVE_INFINITY,
    };
    this.dead = isDead ? undefined : new BrokerQueue(`${name}/$DeadLetterQueue`, deadSettings, clock, true);
  }

  /** Every message, settled ones not counted. */
  get messages(): readonly StoredMessage[] {
    return [...this.#messages.values()];
  }

  /** The sequence number; undefined for a duplicate, which is dropped. */
  enqueue(message: AmqpMessage, dueAtMs = 0): number | undefined {
    const nowMs = this.#clock.wallMs();
    if (this.#duplicates.repeats(message.message_id, nowMs)) return undefined;
    const sequenceNumber = ++this.#lastSequenceNumber;
    const state = dueAtMs > nowMs ? 'scheduled' : 'active';
    const enqueuedAtMs = Math.max(nowMs, dueAtMs);
    this.#messages.set(sequenceNumber, {
      sequenceNumber,
      message,
      enqueuedAtMs,
      deliveryCount: 0,
      state,
      dueAtMs,
      lock: undefined,
    });
    this.pump();
    return sequenceNumber;
  }

  subscribe(consumer: Consumer): void {
    this.#consumers.add(consumer);
    this.pump();
  }

  /** Its messages stay locked until their locks end; those of a session go back with {@link releaseSession}. */
  unsubscribe(consumer: Consumer): void {
    this.#consumers.delete(consumer);
  }

  whenSessions(callback: () => void): () => void {
    this.#waiting.add(callback);
    return () => void this.#waiting.delete(callback);
  }

  /** Hands out what can be handed out. */
  pump(): void {
    this.#expire();
    for (const consumer of this.#consumers) this.#feed(consumer);
    for (const callback of this.#waiting) callback();
    this.#wake();
  }

  /** Locks a session for `owner`: the wanted one, or the next that has messages and is free. */
  acceptSession(wanted: string | undefined, owner: (sessionId: string) => Consumer): Consumer | undefined {
    this.#expire();
    const sessionId = wanted ?? this.sessions.next(this.#sessionsWithMessages());
    if (sessionId === undefined || this.sessions.isLocked(sessionId)) return undefined;
    const consumer = owner(sessionId);
    this.sessions.lock(sessionId, consumer, this.#lockEndMs());
    return consumer;
  }

  /** The session's messages are free again; their delivery count stays as it is, since the receiver closed in order. */
  releaseSession(owner: Consumer): void {
    const { sessionId } = owner;
    if (sessionId === undefined || this.sessions.ownerOf(sessionId) !== owner) return;
    this.sessions.unlock(sessionId);
    for (const stored of this.#lockedBy(owner)) this.#unlock(stored);
    this.pump();
  }

  /** As when its lock ends: the receiver is told, and what it held counts as one more failed delivery. */
  loseSession(sessionId: string): void {
    const owner = this.sessions.ownerOf(sessionId);
    if (!owner) return;
    this.sessions.unlock(sessionId);
    this.#consumers.delete(owner);
    for (const stored of this.#lockedBy(owner)) this.#fail(stored);
    owner.lost();
    this.pump();
  }

  /** When the lock ends now; undefined when nobody holds it. */
  renewSession(sessionId: string): number | undefined {
    this.#expire();
    const untilMs = this.#lockEndMs();
    return this.sessions.renew(sessionId, untilMs) ? untilMs : undefined;
  }

  renew(token: string): number | undefined {
    this.#expire();
    const lock = this.#locked.get(token)?.lock;
    if (!lock) return undefined;
    lock.untilMs = this.#lockEndMs();
    return lock.untilMs;
  }

  complete(token: string): AmqpError | undefined {
    return this.#settle(token, (stored) => this.#remove(stored));
  }

  abandon(token: string): AmqpError | undefined {
    return this.#settle(token, (stored) => this.#fail(stored));
  }

  defer(token: string): AmqpError | undefined {
    return this.#settle(token, (stored) => {
      this.#unlock(stored);
      stored.state = 'deferred';
    });
  }

  deadLetter(token: string, properties: Readonly<Record<string, unknown>>): AmqpError | undefined {
    return this.#settle(token, (stored) => this.#bury(stored, properties));
  }

  /** From a sequence number on, locked and deferred ones too. */
  peek(from: number, count: number, sessionId?: string): StoredMessage[] {
    return this.messages
      .filter((stored) => stored.sequenceNumber >= from && (sessionId === undefined || sessionOf(stored) === sessionId))
      .slice(0, count);
  }

  /** Deferred messages, locked for `owner`; undefined when one of them is not there. */
  takeDeferred(sequenceNumbers: readonly number[], owner: Consumer | undefined): StoredMessage[] | undefined {
    const found = sequenceNumbers.map((each) => this.#messages.get(each));
    const free = found.filter((each) => each !== undefined).filter(({ state, lock }) => state === 'deferred' && !lock);
    if (free.length < sequenceNumbers.length) return undefined;
    for (const stored of free) this.#lock(stored, owner);
    return free;
  }

  /** False when it is not scheduled any more. */
  cancel(sequenceNumber: number): boolean {
    return this.#messages.get(sequenceNumber)?.state === 'scheduled' && this.#messages.delete(sequenceNumber);
  }

  stop(): void {
    this.#timer?.cancel();
    this.dead?.stop();
  }

  #feed(consumer: Consumer): void {
    for (const stored of this.#messages.values()) {
      if (consumer.credit() <= 0) return;
      if (stored.state !== 'active' || stored.lock) continue;
      if (this.settings.sessions && sessionOf(stored) !== consumer.sessionId) continue;
      consumer.deliver(stored, this.#lock(stored, consumer));
    }
  }

  #lock(stored: StoredMessage, owner: Consumer | undefined) {
    const lock = { token: newLockToken(), owner, untilMs: this.#lockEndMs() };
    stored.lock = lock;
    this.#locked.set(lock.token, stored);
    return lock;
  }

  #unlock(stored: StoredMessage): void {
    if (stored.lock) this.#locked.delete(stored.lock.token);
    stored.lock = undefined;
  }

  #settle(token: string, act: (stored: StoredMessage) => void): AmqpError | undefined {
    this.#expire();
    const stored = this.#locked.get(token);
    if (!stored) return this.settings.sessions ? sessionLockLost() : messageLockLost();
    act(stored);
    this.pump();
    return undefined;
  }

  #remove(stored: StoredMessage): void {
    this.#unlock(stored);
    this.#messages.delete(stored.sequenceNumber);
  }

  #fail(stored: StoredMessage): void {
    this.#unlock(stored);
    stored.deliveryCount += 1;
    if (stored.deliveryCount < this.settings.maxDeliveryCount) return;
    this.#bury(stored, {
      DeadLetterReason: 'MaxDeliveryCountExceeded',
      DeadLetterErrorDescription: `Message could not be consumed after ${this.settings.maxDeliveryCount} delivery attempts.`,
    });
  }

  #bury(stored: StoredMessage, properties: Readonly<Record<string, unknown>>): void {
    this.#remove(stored);
    const told = Object.fromEntries(
      Object.entries(properties).filter(([, value]) => value !== undefined && value !== null),
    );
    const { message } = stored;
    this.dead?.enqueue({ ...message, application_properties: { ...message.application_properties, ...told } });
  }

  #lockedBy(owner: Consumer): StoredMessage[] {
    return [...this.#locked.values()].filter(({ lock }) => lock?.owner === owner);
  }

  *#sessionsWithMessages(): Iterable<string> {
    for (const stored of this.#messages.values()) {
      const sessionId = sessionOf(stored);
      if (stored.state === 'active' && sessionId !== undefined) yield sessionId;
    }
  }

  #lockEndMs(): number {
    return this.#clock.wallMs() + this.settings.lockMs;
  }

  #expire(): void {
    const nowMs = this.#clock.wallMs();
    for (const stored of this.#messages.values()) {
      if (stored.state === 'scheduled' && stored.dueAtMs <= nowMs) stored.state = 'active';
      // On an entity with sessions the session's lock holds its messages.
      if (!this.settings.sessions && stored.lock && stored.lock.untilMs <= nowMs) this.#fail(stored);
    }
    for (const sessionId of this.sessions.expired(nowMs)) this.loseSession(sessionId);
  }

  /** One timer for whatever ends next. */
  #wake(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    let nextMs = this.sessions.nextExpiryMs();
    for (const { state, dueAtMs, lock } of this.#messages.values()) {
      if (state === 'scheduled') nextMs = Math.min(nextMs, dueAtMs);
      if (lock && !this.settings.sessions) nextMs = Math.min(nextMs, lock.untilMs);
    }
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#clock.after(Math.max(1, nextMs - this.#clock.wallMs()), () => this.pump());
  }
}
