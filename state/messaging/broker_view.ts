import type { ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus';
import type { Clock } from '../../platform/clock.ts';
import type { ArchiveRecord } from '../outbox/ports.ts';
import { brokerError, MESSAGING_BACKLOG } from './errors.ts';
import { parseMessage } from './record_message.ts';
import { closeServiceBus } from './service_bus_client.ts';

const PAGE = 250;
/** A longer queue is not looked through: whoever asks waits until it is shorter. */
const MAX_MESSAGES = 20_000;

export interface BrokerViewOptions {
  /**
   * A connection for one look. The SDK remembers for each connection how far was peeked, and goes on from there: a second look on the
   * same one would miss what the first has seen.
   */
  open: () => ServiceBusClient;
  queue: string;
  clock: Clock;
  maxMessages?: number;
}

/** Looks at the queue and its dead letters without taking anything: locked messages are seen too. */
export class BrokerView {
  readonly #options: BrokerViewOptions;

  constructor(options: BrokerViewOptions) {
    this.#options = options;
  }

  /**
   * Records of a call that the broker holds, dead letters included. Messages move from the queue to its dead letters, so the queue
   * is looked at first. Throws ERR_MESSAGING_BACKLOG beyond the limit, or the broker's trouble.
   */
  async recordsOf(callConnectionId: string): Promise<ArchiveRecord[]> {
    const records: ArchiveRecord[] = [];
    for (const dead of [false, true]) {
      for await (const message of this.messages(dead)) {
        if (message.sessionId !== callConnectionId) continue;
        const parsed = parseMessage(message);
        if (parsed.kind === 'record') records.push(parsed.record);
      }
    }
    return records;
  }

  async *messages(dead: boolean): AsyncGenerator<ServiceBusReceivedMessage> {
    const { open, queue, clock, maxMessages = MAX_MESSAGES } = this.#options;
    const client = open();
    try {
      const receiver = client.createReceiver(queue, {
        skipParsingBodyAsJson: true,
        ...(dead ? { subQueueType: 'deadLetter' as const } : {}),
      });
      let seen = 0;
      for (let page = await peek(receiver); page.length > 0; page = await peek(receiver, page.at(-1))) {
        seen += page.length;
        if (seen > maxMessages) throw MESSAGING_BACKLOG.with(`over ${maxMessages}`);
        yield* page;
      }
    } finally {
      await closeServiceBus(client, clock);
    }
  }
}

async function peek(
  receiver: ServiceBusReceiver,
  after?: ServiceBusReceivedMessage,
): Promise<ServiceBusReceivedMessage[]> {
  const from = after?.sequenceNumber?.add(1);
  try {
    return await receiver.peekMessages(PAGE, from ? { fromSequenceNumber: from } : {});
  } catch (error) {
    throw brokerError(error);
  }
}
