import type { EventContext, Receiver, Sender } from 'rhea';
import type { Broker } from './broker.ts';
import type { Claims } from './claims.ts';
import { detachForced, entityNotFound, messageLockLost, serverBusy, tooLarge, unauthorized } from './conditions.ts';
import { type EventHub, renderedEvent, startOf } from './event_hub.ts';
import { type AmqpMessage, dueAt, encode, unpack } from './message.ts';
import type { BrokerQueue } from './queue.ts';
import { CreditMeter, setMaxMessageSize, settle } from './rhea_link.ts';
import { openQueueReceiver, whenDue } from './session_link.ts';

/** One client's connection. */
export interface Peer {
  readonly claims: Claims;
  /** Where answers to requests go, by the address that the client has named for them. */
  readonly replies: Map<string, Sender>;
  /** Run once when the connection is gone. */
  readonly farewells: Set<() => void>;
}

export type Answer = (message: AmqpMessage) => Promise<AmqpMessage>;

/** Answers for `$cbs` and `$management`. */
export interface Desks {
  claims(peer: Peer): Answer;
  management(entity: BrokerQueue | undefined): Answer;
}

/** A client attached to receive. */
export function openOutgoing(broker: Broker, peer: Peer, link: Sender): void {
  const address = link.source?.address ?? '';
  const place = broker.find(address);
  if (!place) return void link.close(entityNotFound(address));
  if (place.kind !== 'claims' && !peer.claims.allow(address)) return void link.close(unauthorized(address));
  switch (place.kind) {
    case 'claims':
    case 'management':
      peer.replies.set(link.name, link);
      if (link.target?.address) peer.replies.set(link.target.address, link);
      return;
    case 'queue':
      return void openQueueReceiver(broker, peer, place.queue, link);
    case 'hub':
      return void openHubReader(broker, peer, place.hub, place.partitionId ?? '', link);
  }
}

/** A client attached to send. */
export function openIncoming(broker: Broker, peer: Peer, desks: Desks, link: Receiver): void {
  const address = link.target?.address ?? '';
  const place = broker.find(address);
  if (!place) return void link.close(entityNotFound(address));
  if (place.kind !== 'claims' && !peer.claims.allow(address)) return void link.close(unauthorized(address));
  switch (place.kind) {
    case 'claims':
      return void openDesk(peer, link, desks.claims(peer));
    case 'management':
      return void openDesk(peer, link, desks.management(place.entity));
    case 'queue':
      return void openStore(broker, link, place.queue.settings.maxMessageBytes, (messages) => {
        for (const message of messages) place.queue.enqueue(message, dueAt(message));
      });
    case 'hub':
      return void openStore(broker, link, place.hub.settings.maxMessageBytes, (messages) =>
        place.hub.append(messages, place.partitionId),
      );
  }
}

function openDesk(peer: Peer, link: Receiver, answer: Answer): void {
  link.on('message', (context: EventContext) => {
    const { delivery, message } = context;
    if (!delivery || !message) return;
    settle(delivery);
    const request = message as unknown as AmqpMessage;
    answer(request)
      .then((reply) => {
        peer.replies.get(request.reply_to ?? '')?.send({ ...reply, correlation_id: request.message_id } as never);
      })
      .catch((error) => process.emitWarning(error));
  });
}

function openStore(broker: Broker, link: Receiver, maxBytes: number, store: (messages: AmqpMessage[]) => void): void {
  setMaxMessageSize(link, maxBytes);
  link.on('message', (context: EventContext) => {
    const { delivery } = context;
    if (!delivery) return;
    whenDue(broker, () => {
      if (link.is_closed()) return;
      if (broker.takeFault('detachSends')) return void link.close(detachForced());
      if (broker.takeFault('throttle')) return void settle(delivery, serverBusy());
      const { messages, bytes } = unpack(context.message, delivery.format);
      if (bytes > maxBytes) return void settle(delivery, tooLarge(`${bytes} of ${maxBytes} bytes.`));
      store(messages);
      if (!broker.takeFault('lostSettlements')) settle(delivery);
    });
  });
}

function openHubReader(broker: Broker, peer: Peer, hub: EventHub, partitionId: string, link: Sender): void {
  const log = hub.partition(partitionId);
  if (!log) return void link.close(entityNotFound(link.source.address));
  const filters = Object.values((link.source.filter as Record<string, unknown> | undefined) ?? {});
  const selector = filters.map((each) => (each as { value?: unknown } | undefined)?.value ?? each).join(' ');
  const meter = new CreditMeter(link);
  let next = startOf(selector, log, broker.clock.wallMs());
  const pump = () => {
    for (let event = log[next]; event && link.is_open() && meter.left > 0; event = log[next]) {
      meter.sent();
      link.send(encode(renderedEvent(event)), undefined, 0);
      next += 1;
    }
  };
  const stopPumping = hub.whenAppended(pump);
  const stop = () => {
    stopPumping();
    peer.farewells.delete(stop);
  };
  peer.farewells.add(stop);
  link.on('sender_flow', pump);
  link.on('sender_draining', () => link.set_drained(true));
  link.once('sender_close', stop);
  // Readers of a log settle nothing of consequence.
  link.on('accepted', (context: EventContext) => context.delivery && settle(context.delivery));
  link.on('rejected', (context: EventContext) => context.delivery && settle(context.delivery, messageLockLost()));
}
