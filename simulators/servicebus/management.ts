import type { AmqpError } from 'rhea';
import type { Broker } from './broker.ts';
import {
  entityNotFound,
  messageLockLost,
  messageNotFound,
  notImplemented,
  sessionLockLost,
  statusOf,
} from './conditions.ts';
import { renderedEvent } from './event_hub.ts';
import { type AmqpMessage, decode, dueAt, encode, long, timestamp, uuid, uuidText } from './message.ts';
import type { BrokerQueue } from './queue.ts';
import { rendered, sessionOf } from './stored.ts';

type Body = Readonly<Record<string, unknown>>;
type Operation = (queue: BrokerQueue, body: Body) => Body | AmqpError | undefined;

const isError = (value: Body | AmqpError): value is AmqpError => typeof (value as AmqpError).condition === 'string';
const tokens = (body: Body) => (body['lock-tokens'] as Buffer[]).map(uuidText);
const session = (body: Body) => String(body['session-id']);
const whole = (value: unknown) => (Buffer.isBuffer(value) ? Number(value.readBigInt64BE()) : Number(value));
const numbers = (body: Body) => (body['sequence-numbers'] as unknown[]).map(whole);

/** Request and answer as in the AMQP request/response operations of Service Bus; undefined is an answer without content (204). */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  'com.microsoft:renew-lock': (queue, body) => {
    const ends = tokens(body).map((token) => queue.renew(token));
    return ends.some((end) => end === undefined)
      ? messageLockLost()
      : { expirations: ends.map((end) => timestamp(end ?? 0)) };
  },
  'com.microsoft:renew-session-lock': (queue, body) => {
    const untilMs = queue.renewSession(session(body));
    return untilMs === undefined ? sessionLockLost() : { expiration: timestamp(untilMs) };
  },
  'com.microsoft:get-session-state': (queue, body) => ({
    'session-state': queue.sessions.state(session(body)) ?? null,
  }),
  'com.microsoft:set-session-state': (queue, body) => {
    if (!queue.sessions.isLocked(session(body))) return sessionLockLost();
    queue.sessions.setState(session(body), (body['session-state'] as Buffer | null) ?? undefined);
    return {};
  },
  'com.microsoft:peek-message': (queue, body) => {
    const of = body['session-id'] === undefined ? undefined : session(body);
    const found = queue.peek(whole(body['from-sequence-number']), whole(body['message-count']), of);
    return found.length === 0 ? undefined : { messages: found.map((each) => ({ message: encode(rendered(each)) })) };
  },
  'com.microsoft:schedule-message': (queue, body) => ({
    'sequence-numbers': (body.messages as { message: Buffer }[]).map(({ message }) => {
      const decoded = decode(message);
      return long(queue.enqueue(decoded, dueAt(decoded)) ?? 0);
    }),
  }),
  'com.microsoft:cancel-scheduled-message': (queue, body) =>
    numbers(body).every((each) => queue.cancel(each)) ? {} : messageNotFound(),
  'com.microsoft:receive-by-sequence-number': (queue, body) => {
    const owner = body['session-id'] === undefined ? undefined : queue.sessions.ownerOf(session(body));
    const taken = queue.takeDeferred(numbers(body), owner);
    if (!taken) return messageNotFound();
    return {
      messages: taken.map((each) => ({ message: encode(rendered(each)), 'lock-token': uuid(each.lock?.token ?? '') })),
    };
  },
  'com.microsoft:update-disposition': (queue, body) => {
    const errors = tokens(body).map((token) => settleAs(queue, token, body));
    return errors.find((error) => error !== undefined) ?? {};
  },
  'com.microsoft:get-message-sessions': (queue, body) => {
    const ids = [...new Set(queue.messages.flatMap((each) => sessionOf(each) ?? []))];
    const skip = whole(body.skip);
    const page = ids.slice(skip, skip + whole(body.top));
    return page.length === 0 ? undefined : { skip, 'sessions-ids': page };
  },
};

function settleAs(queue: BrokerQueue, token: string, body: Body): AmqpError | undefined {
  switch (body['disposition-status']) {
    case 'completed':
      return queue.complete(token);
    case 'abandoned':
      return queue.abandon(token);
    case 'defered':
      return queue.defer(token);
    case 'suspended':
      return queue.deadLetter(token, {
        DeadLetterReason: body['deadletter-reason'],
        DeadLetterErrorDescription: body['deadletter-description'],
      });
    default:
      return notImplemented();
  }
}

/** Answers a request of `<queue>/$management`. */
export function manageQueue(queue: BrokerQueue | undefined, request: AmqpMessage): AmqpMessage {
  const name = String(request.application_properties?.operation);
  const operation = OPERATIONS[name];
  if (!queue) return refusal(entityNotFound(''));
  if (!operation) return refusal(notImplemented(name));
  const result = operation(queue, (request.body ?? {}) as Body);
  if (result === undefined)
    return { application_properties: { statusCode: 204, statusDescription: 'No Content' }, body: {} };
  return isError(result)
    ? refusal(result)
    : { application_properties: { statusCode: 200, statusDescription: 'OK' }, body: result };
}

/** Answers a READ of an event hub or one of its partitions. */
export function readHub(broker: Broker, request: AmqpMessage): AmqpMessage {
  const { name, type, partition } = request.application_properties ?? {};
  const hub = broker.hub(String(name));
  if (!hub) return refusal(entityNotFound(String(name)));
  const ok = (body: Body) => ({ application_properties: { 'status-code': 200, 'status-description': 'OK' }, body });
  if (type === 'com.microsoft:eventhub')
    return ok({
      name: hub.name,
      type: 'com.microsoft:eventhub',
      created_at: timestamp(hub.createdAtMs),
      partition_count: hub.settings.partitions,
      partition_ids: hub.partitionIds,
    });
  const log = hub.partition(String(partition));
  if (!log) return refusal(entityNotFound(`${hub.name}/${String(partition)}`));
  const last = log.at(-1);
  return ok({
    name: hub.name,
    type: 'com.microsoft:partition',
    partition: String(partition),
    begin_sequence_number: 0,
    last_enqueued_sequence_number: last?.sequenceNumber ?? -1,
    last_enqueued_offset: last ? String(renderedEvent(last).message_annotations?.['x-opt-offset']) : '-1',
    last_enqueued_time_utc: timestamp(last?.enqueuedAtMs ?? 0),
    is_partition_empty: log.length === 0,
  });
}

function refusal(error: AmqpError): AmqpMessage {
  return {
    application_properties: {
      statusCode: statusOf(error),
      statusDescription: error.description,
      errorCondition: error.condition,
    },
    body: {},
  };
}
