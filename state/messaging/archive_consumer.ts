import type { ServiceBusClient, ServiceBusSessionReceiver } from '@azure/service-bus';
import { type Clock, sleep } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Random } from '../../platform/random.ts';
import { Backoff } from '../outbox/backoff.ts';
import type { CallArchive } from '../outbox/ports.ts';
import { brokerError, isNoSession } from './errors.ts';
import type { MessagingMetrics } from './metrics.ts';
import { SessionTurn, type TurnEnd } from './session_turn.ts';
import { SETTLE_LIMIT_MS } from './time_limit.ts';

export interface ArchiveConsumerOptions {
  client: ServiceBusClient;
  queue: string;
  /** Where records are kept for good. */
  archive: Pick<CallArchive, 'write' | 'writeAll'>;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: MessagingMetrics;
  /** Sessions at the same time. */
  maxSessions?: number;
  idleMs?: number;
  maxMessages?: number;
  holdMs?: number;
  settleMs?: number;
}

const DEFAULTS = {
  maxSessions: 8,
  idleMs: 200,
  maxMessages: 256,
  holdMs: 4 * 60_000,
  settleMs: SETTLE_LIMIT_MS,
} as const;
/** The SDK renews a session's lock until then; longer than any hold. */
const RENEWAL_MS = 5 * 60_000;
const HELD_PAUSE_MS = 1_000;

/**
 * The archiver's side of the queue: takes sessions in turn, so that every call's records are written in their order, and by as many
 * workers as there are. A long session gives way to the others after `maxMessages`.
 */
export class ArchiveConsumer {
  readonly #options: ArchiveConsumerOptions & typeof DEFAULTS;
  readonly #stop = new AbortController();
  readonly #backoff: Backoff;
  #slots: Promise<void>[] = [];
  #troubled = false;

  constructor(options: ArchiveConsumerOptions) {
    this.#options = { ...DEFAULTS, ...options } as ArchiveConsumerOptions & typeof DEFAULTS;
    this.#backoff = new Backoff(options.random);
  }

  start(): void {
    this.#slots = Array.from({ length: this.#options.maxSessions }, () => this.#slot());
  }

  /**
   * Takes nothing new; the write in hand is finished and settled, everything else is given back. Waits for the end of an
   * `acceptNextSession`, which the SDK cannot cancel: at most the client's time for an operation. Close the client afterwards.
   */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#slots);
  }

  async #slot(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        const receiver = await this.#accept();
        if (!receiver) continue;
        const end = await this.#turn(receiver);
        this.#fine();
        // A turn that ends as `away` has waited already; the record of a newer release would be back at once.
        if (end === 'held') await this.#wait(HELD_PAUSE_MS);
      } catch (error) {
        this.#trouble(error);
        await this.#wait(this.#backoff.next());
      }
    }
  }

  /** Undefined when no session was free within the client's time for an operation. */
  async #accept(): Promise<ServiceBusSessionReceiver | undefined> {
    const { client, queue } = this.#options;
    try {
      return await client.acceptNextSession(queue, {
        maxAutoLockRenewalDurationInMs: RENEWAL_MS,
        skipParsingBodyAsJson: true,
      });
    } catch (error) {
      if (isNoSession(error)) return undefined;
      throw error;
    }
  }

  async #turn(receiver: ServiceBusSessionReceiver): Promise<TurnEnd> {
    this.#options.metrics.sessions(1);
    try {
      return await new SessionTurn(receiver, this.#options, this.#stop.signal).run();
    } finally {
      // Closing in order tells the broker that what is unsettled is free again.
      await receiver.close().catch((error) => this.#options.log.debug({ err: error }, 'a session was not closed'));
      this.#options.metrics.sessions(-1);
    }
  }

  async #wait(delayMs: number): Promise<void> {
    await sleep(this.#options.clock, delayMs, this.#stop.signal).catch(() => undefined);
  }

  #fine(): void {
    this.#backoff.reset();
    if (this.#troubled) this.#options.log.info('the message broker gives records again');
    this.#troubled = false;
  }

  #trouble(cause: unknown): void {
    if (!this.#troubled)
      this.#options.log.warn({ reason: brokerError(cause).message }, 'the message broker gives nothing now');
    this.#troubled = true;
  }
}
