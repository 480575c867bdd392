import { createHash } from 'node:crypto';
import type { Clock } from '../../platform/clock.ts';
import { type AmqpMessage, long, timestamp } from './message.ts';

export interface StoredEvent {
  readonly message: AmqpMessage;
  readonly sequenceNumber: number;
  readonly enqueuedAtMs: number;
  readonly partitionKey: string | undefined;
}

export interface HubSettings {
  readonly partitions: number;
  readonly maxMessageBytes: number;
}

/** One event hub: a log for each partition; the partition key decides which. */
export class EventHub {
  readonly name: string;
  readonly settings: HubSettings;
  readonly createdAtMs: number;
  readonly #clock: Clock;
  readonly #partitions: StoredEvent[][];
  readonly #readers = new Set<() => void>();
  #turn = 0;

  constructor(name: string, settings: HubSettings, clock: Clock) {
    this.name = name;
    this.settings = settings;
    this.#clock = clock;
    this.createdAtMs = clock.wallMs();
    this.#partitions = Array.from({ length: settings.partitions }, () => []);
  }

  get partitionIds(): string[] {
    return this.#partitions.map((_, index) => String(index));
  }

  /** Undefined when there is no such partition. */
  partition(id: string): readonly StoredEvent[] | undefined {
    return this.#partitions[Number(id)];
  }

  /** A batch has one partition key, or none: then partitions take turns. */
  append(messages: readonly AmqpMessage[], partitionId?: string): void {
    const key = messages
      .map(({ message_annotations: notes }) => notes?.['x-opt-partition-key'])
      .find((each) => each !== undefined);
    const partitionKey = key === undefined ? undefined : String(key);
    const index =
      partitionId ??
      String(partitionKey === undefined ? this.#turn++ % this.#partitions.length : this.#indexOf(partitionKey));
    const log = this.#partitions[Number(index)];
    if (!log) return;
    for (const message of messages)
      log.push({ message, sequenceNumber: log.length, enqueuedAtMs: this.#clock.wallMs(), partitionKey });
    for (const reader of this.#readers) reader();
  }

  /** Told after each append; returns what ends that. */
  whenAppended(reader: () => void): () => void {
    this.#readers.add(reader);
    return () => void this.#readers.delete(reader);
  }

  /** The service's own hash is not documented; any stable one keeps a key in one partition. */
  #indexOf(partitionKey: string): number {
    return createHash('sha256').update(partitionKey).digest().readUInt32BE() % this.#partitions.length;
  }
}

export function renderedEvent({ message, sequenceNumber, enqueuedAtMs, partitionKey }: StoredEvent): AmqpMessage {
  return {
    ...message,
    message_annotations: {
      ...message.message_annotations,
      'x-opt-sequence-number': long(sequenceNumber),
      'x-opt-offset': String(sequenceNumber),
      'x-opt-enqueued-time': timestamp(enqueuedAtMs),
      ...(partitionKey === undefined ? {} : { 'x-opt-partition-key': partitionKey }),
    },
  };
}

/** First sequence number to read, of a selector such as `amqp.annotation.x-opt-offset > '-1'`. */
export function startOf(selector: unknown, log: readonly StoredEvent[], nowMs: number): number {
  const [, name, operator, value = ''] =
    /x-opt-([a-z-]+?)(?:-utc)? (>=?) '?(@?[\w-]+)'?/.exec(String(selector ?? '')) ?? [];
  if (value === '@latest') return log.length;
  if (name === 'enqueued-time') {
    const index = log.findIndex(({ enqueuedAtMs }) => enqueuedAtMs > Math.min(Number(value), nowMs));
    return index < 0 ? log.length : index;
  }
  if (name !== 'offset' && name !== 'sequence-number') return 0;
  return Number(value) + (operator === '>' ? 1 : 0);
}
