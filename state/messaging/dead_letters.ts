import type { ServiceBusClient, ServiceBusMessage, ServiceBusReceivedMessage } from '@azure/service-bus';
import type { Clock } from '../../platform/clock.ts';
import type { BrokerView } from './broker_view.ts';
import { brokerError, MESSAGING_UNAVAILABLE } from './errors.ts';
import { SETTLE_LIMIT_MS, withinLimit } from './time_limit.ts';

/** What may be shown of a dead letter: where it belongs and why it is here, never its content. */
export interface DeadLetter {
  readonly sequenceNumber: string;
  readonly callConnectionId: string;
  readonly recordId: string;
  readonly kind: string;
  readonly reason: string;
  readonly description: string;
  readonly enqueuedAtMs: number;
}

export interface DeadLetterFilter {
  readonly callConnectionId?: string | undefined;
  readonly recordId?: string | undefined;
}

export interface ReplayReport {
  /** Sent to the queue again and taken off the dead letters. */
  readonly replayed: DeadLetter[];
  /** Dead letters that match and were not reached: somebody else holds them. */
  readonly left: number;
}

const MAX_IN_HAND = 1_000;
const WAIT_MS = 500;
const ADDED_BY_BURIAL = ['DeadLetterReason', 'DeadLetterErrorDescription'];

export interface DeadLettersOptions {
  client: ServiceBusClient;
  queue: string;
  view: Pick<BrokerView, 'messages'>;
  clock: Clock;
  settleMs?: number;
}

export class DeadLetters {
  readonly #client: ServiceBusClient;
  readonly #queue: string;
  readonly #view: Pick<BrokerView, 'messages'>;
  readonly #clock: Clock;
  readonly #settleMs: number;

  constructor(options: DeadLettersOptions) {
    this.#client = options.client;
    this.#queue = options.queue;
    this.#view = options.view;
    this.#clock = options.clock;
    this.#settleMs = options.settleMs ?? SETTLE_LIMIT_MS;
  }

  /** Oldest first; nothing is taken. Throws ERR_MESSAGING_…. */
  async list(filter: DeadLetterFilter = {}, limit = MAX_IN_HAND): Promise<DeadLetter[]> {
    const found: DeadLetter[] = [];
    for await (const message of this.#view.messages(true)) {
      const letter = deadLetterOf(message);
      if (matches(letter, filter)) found.push(letter);
      if (found.length >= limit) break;
    }
    return found;
  }

  /**
   * Sends what matches to its call's session again. A letter leaves the dead letters only after the broker has settled its copy, and
   * the copy has the same id each time: a replay that fails half-way is repeated without harm. Throws ERR_MESSAGING_….
   */
  async replay(filter: DeadLetterFilter = {}, limit = MAX_IN_HAND): Promise<ReplayReport> {
    const wanted = new Set((await this.list(filter, limit)).map(({ sequenceNumber }) => sequenceNumber));
    const receiver = this.#client.createReceiver(this.#queue, {
      subQueueType: 'deadLetter',
      skipParsingBodyAsJson: true,
      maxAutoLockRenewalDurationInMs: 0,
    });
    const sender = this.#client.createSender(this.#queue);
    const passed: ServiceBusReceivedMessage[] = [];
    const replayed: DeadLetter[] = [];
    try {
      while (wanted.size > 0 && passed.length < MAX_IN_HAND) {
        const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: WAIT_MS });
        if (!message) break;
        const letter = deadLetterOf(message);
        if (!wanted.delete(letter.sequenceNumber)) {
          passed.push(message);
          continue;
        }
        await sender.sendMessages(copyOf(message));
        await this.#settled(receiver.completeMessage(message));
        replayed.push(letter);
      }
      return { replayed, left: wanted.size };
    } catch (error) {
      throw brokerError(error);
    } finally {
      // Best effort: a lock that is not given back ends by itself.
      await Promise.allSettled(passed.map((message) => this.#settled(receiver.abandonMessage(message))));
      await Promise.all([receiver.close(), sender.close()]);
    }
  }

  #settled(settling: Promise<void>): Promise<void> {
    return withinLimit(this.#clock, this.#settleMs, settling, () => MESSAGING_UNAVAILABLE.with('no answer in time'));
  }
}

/**
 * The message without what its burial added. Its id must differ from the first send, or duplicate detection would drop the copy in
 * silence, and the letter would then be deleted.
 */
function copyOf(message: ServiceBusReceivedMessage): ServiceBusMessage {
  const properties = Object.entries(message.applicationProperties ?? {}).filter(
    ([name]) => !ADDED_BY_BURIAL.includes(name),
  );
  const { body, contentType, sessionId, subject, messageId } = message;
  return {
    body,
    messageId: `${String(messageId).replace(/~\d+$/, '')}~${sequenceOf(message)}`,
    ...(contentType === undefined ? {} : { contentType }),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(subject === undefined ? {} : { subject }),
    applicationProperties: Object.fromEntries(properties),
  };
}

function deadLetterOf(message: ServiceBusReceivedMessage): DeadLetter {
  const { kind, recordId } = message.applicationProperties ?? {};
  return {
    sequenceNumber: sequenceOf(message),
    callConnectionId: message.sessionId ?? '',
    recordId: String(recordId ?? ''),
    kind: String(kind ?? ''),
    reason: message.deadLetterReason ?? '',
    description: message.deadLetterErrorDescription ?? '',
    enqueuedAtMs: message.enqueuedTimeUtc?.getTime() ?? 0,
  };
}

const sequenceOf = ({ sequenceNumber }: ServiceBusReceivedMessage): string => sequenceNumber?.toString() ?? '';

function matches(letter: DeadLetter, { callConnectionId, recordId }: DeadLetterFilter): boolean {
  if (callConnectionId !== undefined && letter.callConnectionId !== callConnectionId) return false;
  return recordId === undefined || letter.recordId === recordId;
}
