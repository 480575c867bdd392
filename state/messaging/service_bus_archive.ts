import type { ServiceBusClient, ServiceBusMessage, ServiceBusSender } from '@azure/service-bus';
import type { ArchivedCall, ArchiveRecord, CallArchive, WriteOutcome } from '../outbox/ports.ts';
import type { BrokerView } from './broker_view.ts';
import { isTooLarge, sendOutcome } from './errors.ts';
import type { MessagingMetrics } from './metrics.ts';
import { messageOf } from './record_message.ts';

export interface ServiceBusArchiveOptions {
  client: ServiceBusClient;
  queue: string;
  metrics: MessagingMetrics;
  /** What is still on its way, for the reading side. */
  view: Pick<BrokerView, 'recordsOf'>;
  /** Where the records end. */
  reader: Pick<CallArchive, 'readCall' | 'recordIds'>;
}

/** A batch may hold so much even where one message may hold more (docs: service-bus-premium-messaging, large messages). */
const MAX_BATCH_BYTES = 1024 * 1024;

/**
 * {@link CallArchive} that hands records to a queue with sessions: the session is the call, so that its order is kept. `written`
 * means that the broker has settled the send. A {@link ArchiveConsumer} moves them on to Cosmos DB.
 */
export class ServiceBusArchive implements CallArchive {
  readonly #options: ServiceBusArchiveOptions;
  #sender: ServiceBusSender | undefined;

  constructor(options: ServiceBusArchiveOptions) {
    this.#options = options;
  }

  async write(record: ArchiveRecord): Promise<WriteOutcome> {
    const [outcome] = await this.writeAll([record]);
    return outcome ?? { kind: 'later', throttled: false, retryAfterMs: undefined, cause: undefined };
  }

  async writeAll(records: readonly ArchiveRecord[]): Promise<WriteOutcome[]> {
    const outcomes: WriteOutcome[] = [];
    const messages = records.map(messageOf);
    try {
      while (outcomes.length < messages.length)
        outcomes.push(...(await this.#sendSome(messages.slice(outcomes.length))));
    } catch (error) {
      outcomes.push(sendOutcome(error));
    }
    this.#count(outcomes);
    return outcomes;
  }

  /** What the broker has is read first: a record that leaves it meanwhile is in the archive by the time that is read. */
  async readCall(callConnectionId: string): Promise<ArchivedCall> {
    const onTheWay = await this.#options.view.recordsOf(callConnectionId);
    const archived = await this.#options.reader.readCall(callConnectionId);
    const known = new Set(archived.turns.map(({ id }) => id));
    const turns = onTheWay
      .filter(({ id, kind }) => kind === 'turn' && !known.has(id))
      .map(({ id, body }) => ({ ...body, id }) as ArchivedCall['turns'][number]);
    const summary = onTheWay.find(({ kind }) => kind === 'summary')?.body;
    return {
      turns: [...archived.turns, ...turns].sort((a, b) => (a.id < b.id ? -1 : 1)),
      summary: archived.summary ?? summary,
    };
  }

  async recordIds(callConnectionId: string): Promise<string[]> {
    const onTheWay = await this.#options.view.recordsOf(callConnectionId);
    const archived = await this.#options.reader.recordIds(callConnectionId);
    return [...new Set([...archived, ...onTheWay.map(({ id }) => id)])];
  }

  async close(): Promise<void> {
    await this.#sender?.close();
  }

  /** Sends the first of them, as many as one batch takes; rejects when the broker takes nothing. */
  async #sendSome(messages: readonly ServiceBusMessage[]): Promise<WriteOutcome[]> {
    this.#sender ??= this.#options.client.createSender(this.#options.queue);
    const batch = await this.#sender.createMessageBatch();
    let count = 0;
    for (const message of messages) {
      if (!batch.tryAddMessage(message)) break;
      count += 1;
      if (batch.sizeInBytes >= MAX_BATCH_BYTES / 2) break;
    }
    const [first] = messages;
    if (count > 1 && batch.sizeInBytes <= MAX_BATCH_BYTES) {
      await this.#sender.sendMessages(batch);
      return Array<WriteOutcome>(count).fill({ kind: 'written' });
    }
    if (!first) return [];
    if (count === 0) return [tooLarge(batch.maxSizeInBytes)];
    return [await this.#sendOne(this.#sender, first, batch.maxSizeInBytes)];
  }

  async #sendOne(sender: ServiceBusSender, message: ServiceBusMessage, maxBytes: number): Promise<WriteOutcome> {
    try {
      await sender.sendMessages(message);
      return { kind: 'written' };
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      return tooLarge(maxBytes);
    }
  }

  #count(outcomes: readonly WriteOutcome[]): void {
    const { metrics } = this.#options;
    for (const outcome of outcomes) {
      if (outcome.kind === 'refused') metrics.sent('refused');
      else if (outcome.kind === 'later') metrics.sent(outcome.throttled ? 'throttled' : 'later');
      else metrics.sent('ok');
    }
  }
}

function tooLarge(maxBytes: number): WriteOutcome {
  return { kind: 'refused', reason: `the record is larger than the namespace allows (${maxBytes} bytes)` };
}
