import type { ServiceBusReceivedMessage, ServiceBusSessionReceiver } from '@azure/service-bus';
import type { Clock } from '../../platform/clock.ts';
import { brokerCode } from './errors.ts';
import type { MessagingMetrics } from './metrics.ts';
import { withinLimit } from './time_limit.ts';

/** A message could not be settled: its lock is gone, or the broker did not answer. It comes again. */
export class LockLost extends Error {
  constructor(cause: unknown) {
    super(`a message was not settled: ${brokerCode(cause)}`, { cause });
    this.name = 'LockLost';
  }
}

/** Reason and description of a dead letter are bounded by the service. */
const MAX_REASON = 4_096;

/** Settles messages of one session. Rejects with {@link LockLost} when the broker does not confirm it in time. */
export class Settlements {
  readonly #receiver: ServiceBusSessionReceiver;
  readonly #clock: Clock;
  readonly #metrics: MessagingMetrics;
  readonly #limitMs: number;

  constructor(
    receiver: ServiceBusSessionReceiver,
    options: { clock: Clock; metrics: MessagingMetrics; settleMs: number },
  ) {
    this.#receiver = receiver;
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#limitMs = options.settleMs;
  }

  async complete(message: ServiceBusReceivedMessage): Promise<void> {
    await this.#within(this.#receiver.completeMessage(message));
    this.#metrics.settled('completed');
    const { enqueuedTimeUtc } = message;
    if (enqueuedTimeUtc) this.#metrics.lag((this.#clock.wallMs() - enqueuedTimeUtc.getTime()) / 1000);
  }

  async bury(message: ServiceBusReceivedMessage, reason: string): Promise<void> {
    const deadLetterReason = reason.slice(0, MAX_REASON);
    const deadLetterErrorDescription = 'rtvoice: the archive refuses this record for good';
    await this.#within(this.#receiver.deadLetterMessage(message, { deadLetterReason, deadLetterErrorDescription }));
    this.#metrics.settled('dead_lettered');
  }

  async #within(settling: Promise<void>): Promise<void> {
    try {
      await withinLimit(this.#clock, this.#limitMs, settling, () => new Error('no answer in time'));
    } catch (error) {
      throw new LockLost(error);
    }
  }
}
