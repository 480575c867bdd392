import type { ServiceBusReceivedMessage, ServiceBusSessionReceiver } from '@azure/service-bus';
import { type Clock, sleep } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import { Backoff } from '../outbox/backoff.ts';
import type { ArchiveRecord, CallArchive, WriteOutcome } from '../outbox/ports.ts';
import type { MessagingMetrics } from './metrics.ts';
import { type ParsedMessage, parseMessage } from './record_message.ts';
import { LockLost, Settlements } from './settlements.ts';

export interface SessionTurnOptions {
  archive: Pick<CallArchive, 'write' | 'writeAll'>;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: MessagingMetrics;
  /** The session is given up when it has had nothing for so long. */
  idleMs: number;
  /** Messages after which another session has its turn. */
  maxMessages: number;
  /** How long the archive may be away before the session is given back; its lock is renewed until then. */
  holdMs: number;
  settleMs: number;
}

export type TurnEnd =
  | 'idle'
  | 'turnOver'
  | 'stopped'
  /** The broker has taken the session away; what was not settled comes again. */
  | 'lost'
  /** The archive takes nothing. */
  | 'away'
  /** A record of a newer release: only a worker of that release may take it. */
  | 'held';

interface InHand {
  readonly message: ServiceBusReceivedMessage;
  readonly parsed: ParsedMessage;
}

const BATCH = 32;

/**
 * One turn of one call's session: messages go to the archive in their order, and each is completed after the archive has confirmed it.
 *
 * While the archive is away the session is held and its lock renewed. Abandoning would count as a failed delivery and bury good records
 * after ten of them; deferring would need a second store for the sequence numbers, and break the order. Closing the session gives back
 * what is unsettled without counting it (docs: message-sessions, "Impact of delivery count").
 */
export class SessionTurn {
  readonly #receiver: ServiceBusSessionReceiver;
  readonly #options: SessionTurnOptions;
  readonly #signal: AbortSignal;
  readonly #settlements: Settlements;
  readonly #backoff: Backoff;
  #heldMs = 0;

  constructor(receiver: ServiceBusSessionReceiver, options: SessionTurnOptions, signal: AbortSignal) {
    this.#receiver = receiver;
    this.#options = options;
    this.#signal = signal;
    this.#settlements = new Settlements(receiver, options);
    this.#backoff = new Backoff(options.random);
  }

  /** Rejects with what the broker says when it can be asked for nothing. */
  async run(): Promise<TurnEnd> {
    const { idleMs, maxMessages, metrics } = this.#options;
    for (let left = maxMessages; left > 0; ) {
      const messages = await this.#receive(Math.min(left, BATCH), idleMs);
      if (messages === undefined) return 'stopped';
      if (messages.length === 0) return this.#receiver.isClosed ? 'lost' : 'idle';
      metrics.received(messages.length);
      const end = await this.#archive(messages.map((message) => ({ message, parsed: parseMessage(message) })));
      if (end) return end;
      left -= messages.length;
    }
    return 'turnOver';
  }

  /** Undefined when it was told to stop. */
  async #receive(count: number, maxWaitTimeInMs: number): Promise<ServiceBusReceivedMessage[] | undefined> {
    if (this.#signal.aborted) return undefined;
    try {
      return await this.#receiver.receiveMessages(count, { maxWaitTimeInMs, abortSignal: this.#signal });
    } catch (error) {
      if (this.#signal.aborted) return undefined;
      if (this.#receiver.isClosed) return [];
      throw error;
    }
  }

  async #archive(messages: readonly InHand[]): Promise<TurnEnd | undefined> {
    let left = messages;
    try {
      while (left.length > 0) {
        const step = this.#signal.aborted ? 'stopped' : await this.#step(left);
        if (typeof step === 'string') return this.#giveBack(left, step);
        left = left.slice(step);
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof LockLost)) throw error;
      this.#options.metrics.settled('lock_lost');
      return 'lost';
    }
  }

  /** How many of the first messages are done with, or why to end. */
  async #step(messages: readonly InHand[]): Promise<number | TurnEnd> {
    const [first] = messages;
    if (!first) return 0;
    if (first.parsed.kind === 'held') return 'held';
    if (first.parsed.kind === 'unreadable') {
      await this.#bury(first, first.parsed.reason);
      return 1;
    }
    const outcomes = await this.#write(readable(messages));
    const done = await this.#settle(messages, outcomes);
    const last = outcomes.at(-1);
    if (last && last.kind !== 'later') {
      this.#heldMs = 0;
      this.#backoff.reset();
      return done;
    }
    const end = await this.#hold(last?.retryAfterMs);
    return end ?? done;
  }

  async #write(records: readonly ArchiveRecord[]): Promise<WriteOutcome[]> {
    const { archive } = this.#options;
    if (archive.writeAll) return archive.writeAll(records);
    const outcomes: WriteOutcome[] = [];
    for (const record of records) {
      const outcome = await archive.write(record);
      outcomes.push(outcome);
      if (outcome.kind === 'later') break;
    }
    return outcomes;
  }

  /**
   * Completions go together, a burial alone: rhea 3.0.5 reports two neighbours that are settled in one turn of the loop with the
   * outcome of the first, so that a burial beside a completion would delete the record.
   */
  async #settle(messages: readonly InHand[], outcomes: readonly WriteOutcome[]): Promise<number> {
    let done = 0;
    let completions: Promise<void>[] = [];
    for (const [at, outcome] of outcomes.entries()) {
      const item = messages[at];
      if (!item || outcome.kind === 'later') break;
      if (outcome.kind === 'refused') {
        await Promise.all(completions);
        completions = [];
        await this.#bury(item, outcome.reason);
      } else completions.push(this.#settlements.complete(item.message));
      done += 1;
    }
    await Promise.all(completions);
    return done;
  }

  async #bury({ message }: InHand, reason: string): Promise<void> {
    await this.#settlements.bury(message, reason);
    const { sessionId: callConnectionId, applicationProperties } = message;
    this.#options.log.error(
      { callConnectionId, id: applicationProperties?.recordId, reason },
      'a record went to the dead letters: the archive will never take it',
    );
  }

  async #hold(retryAfterMs: number | undefined): Promise<TurnEnd | undefined> {
    const waitMs = this.#backoff.next(retryAfterMs);
    if (this.#heldMs + waitMs > this.#options.holdMs) return 'away';
    this.#heldMs += waitMs;
    try {
      await sleep(this.#options.clock, waitMs, this.#signal);
    } catch {
      return 'stopped';
    }
    return this.#receiver.isClosed ? 'lost' : undefined;
  }

  #giveBack(left: readonly InHand[], end: TurnEnd): TurnEnd {
    this.#options.metrics.settled(end === 'lost' ? 'lock_lost' : 'returned', left.length);
    return end;
  }
}

function readable(messages: readonly InHand[]): ArchiveRecord[] {
  const records: ArchiveRecord[] = [];
  for (const { parsed } of messages) {
    if (parsed.kind !== 'record') break;
    records.push(parsed.record);
  }
  return records;
}
