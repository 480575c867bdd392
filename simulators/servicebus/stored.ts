import { type AmqpMessage, long, timestamp } from './message.ts';

/** Who receives from a queue: one link. */
export interface Consumer {
  /** The session it has locked; undefined on an entity without sessions. */
  readonly sessionId: string | undefined;
  /** Messages that it can be given now. */
  credit(): number;
  deliver(message: StoredMessage, lock: MessageLock): void;
  /** The broker has taken the session away. */
  lost(): void;
}

export interface MessageLock {
  readonly token: string;
  readonly owner: Consumer | undefined;
  untilMs: number;
}

export interface StoredMessage {
  readonly sequenceNumber: number;
  readonly message: AmqpMessage;
  readonly enqueuedAtMs: number;
  /** Deliveries that did not end in a settlement. */
  deliveryCount: number;
  state: 'active' | 'deferred' | 'scheduled';
  /** Of a scheduled message. */
  dueAtMs: number;
  lock: MessageLock | undefined;
}

const STATES = { active: 0, deferred: 1, scheduled: 2 } as const;

export const sessionOf = ({ message }: StoredMessage): string | undefined => message.group_id ?? undefined;

/** The message as the broker hands it out: with its place in the queue and, when it is locked, until when. */
export function rendered(stored: StoredMessage): AmqpMessage {
  const { message, sequenceNumber, enqueuedAtMs, deliveryCount, state, lock } = stored;
  return {
    ...message,
    delivery_count: deliveryCount,
    message_annotations: {
      ...message.message_annotations,
      'x-opt-sequence-number': long(sequenceNumber),
      'x-opt-enqueued-time': timestamp(enqueuedAtMs),
      'x-opt-message-state': STATES[state],
      ...(lock ? { 'x-opt-locked-until': timestamp(lock.untilMs) } : {}),
    },
  };
}
