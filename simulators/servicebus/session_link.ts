import type { AmqpError, Delivery, EventContext, Sender } from 'rhea';
import type { Timer } from '../../platform/clock.ts';
import type { Broker } from './broker.ts';
import { noSessions, sessionLockLost, sessionNeeded, sessionTaken, sessionTimeout } from './conditions.ts';
import { encode, tagOf, ticks, tokenOfTag } from './message.ts';
import type { BrokerQueue } from './queue.ts';
import { CreditMeter, holdAttach, setProperties, settle } from './rhea_link.ts';
import { type Consumer, rendered } from './stored.ts';

const SESSION_FILTER = 'com.microsoft:session-filter';
const TIMEOUT = 'com.microsoft:timeout';
/** What the service allows a client that names no time. */
const DEFAULT_ACCEPT_MS = 60_000;

/** What is to be done when the client's connection is gone. */
interface Farewells {
  readonly farewells: Set<() => void>;
}

/** A link on which the broker hands out messages of a queue. */
export function openQueueReceiver(broker: Broker, peer: Farewells, queue: BrokerQueue, link: Sender): void {
  const filter = link.source?.filter as Record<string, unknown> | undefined;
  const asked = filter !== undefined && SESSION_FILTER in filter;
  if (asked !== queue.settings.sessions) return void link.close(asked ? noSessions() : sessionNeeded());
  if (!asked) return void serve(broker, peer, queue, link, consumerOf(queue, link, undefined));
  const wanted = plain(filter?.[SESSION_FILTER]);
  if (wanted !== undefined) {
    const consumer = queue.acceptSession(wanted, (sessionId) => consumerOf(queue, link, sessionId));
    if (!consumer) return void link.close(sessionTaken());
    return void serveSession(broker, peer, queue, link, consumer);
  }
  awaitSession(broker, peer, queue, link);
}

/** The next session that has messages and is free; the attach is answered when there is one, or the time is over. */
function awaitSession(broker: Broker, peer: Farewells, queue: BrokerQueue, link: Sender): void {
  let timer: Timer | undefined;
  let over = false;
  let stopWaiting = (): void => undefined;
  const leave = () => {
    over = true;
    stopWaiting();
    timer?.cancel();
    peer.farewells.delete(leave);
  };
  const attempt = () => {
    if (over) return;
    const consumer = queue.acceptSession(undefined, (sessionId) => consumerOf(queue, link, sessionId));
    if (!consumer) return;
    // The order matters: what the attach carries is set before it is answered.
    announce(queue, link, consumer);
    leave();
    link.attach();
    serve(broker, peer, queue, link, consumer);
  };
  holdAttach(link);
  peer.farewells.add(leave);
  stopWaiting = queue.whenSessions(attempt);
  timer = broker.clock.after(Number(link.properties?.[TIMEOUT] ?? DEFAULT_ACCEPT_MS), () => {
    leave();
    link.attach();
    link.close(sessionTimeout());
  });
  // The client gave up: both halves of the link are closed.
  link.once('sender_close', () => {
    if (over) return;
    leave();
    link.attach();
  });
  attempt();
}

function serveSession(broker: Broker, peer: Farewells, queue: BrokerQueue, link: Sender, consumer: Consumer): void {
  announce(queue, link, consumer);
  serve(broker, peer, queue, link, consumer);
}

/** Tells the client which session it has and until when. */
function announce(queue: BrokerQueue, link: Sender, { sessionId }: Consumer): void {
  link.set_source({ address: link.source.address, filter: { [SESSION_FILTER]: sessionId } });
  setProperties(link, { 'com.microsoft:locked-until-utc': ticks(Date.now() + queue.settings.lockMs) });
}

const meters = new WeakMap<Sender, CreditMeter>();

function consumerOf(queue: BrokerQueue, link: Sender, sessionId: string | undefined): Consumer {
  const meter = meters.get(link) ?? new CreditMeter(link);
  meters.set(link, meter);
  return {
    sessionId,
    credit: () => (link.is_open() ? meter.left : 0),
    deliver: (stored, { token }) => {
      meter.sent();
      link.send(encode(rendered(stored)), tagOf(token), 0);
    },
    lost: () => {
      if (!link.is_closed()) link.close(sessionLockLost(`'${sessionId}' of '${queue.name}'`));
    },
  };
}

function serve(broker: Broker, peer: Farewells, queue: BrokerQueue, link: Sender, consumer: Consumer): void {
  queue.subscribe(consumer);
  link.on('sender_flow', () => queue.pump());
  link.on('sender_draining', () => {
    queue.pump();
    link.set_drained(true);
  });
  const answer = (act: (token: string) => AmqpError | undefined) => (context: EventContext) => {
    const { delivery } = context;
    if (delivery) whenDue(broker, () => answered(broker, delivery, act(tokenOfTag(delivery.tag))));
  };
  link.on(
    'accepted',
    answer((token) => queue.complete(token)),
  );
  link.on(
    'released',
    answer((token) => queue.abandon(token)),
  );
  link.on('rejected', (context: EventContext) => {
    const { info = {} } = stateOf(context).error ?? {};
    answer((token) => queue.deadLetter(token, info))(context);
  });
  link.on('modified', (context: EventContext) => {
    const { undeliverable_here: defer } = stateOf(context);
    answer((token) => (defer ? queue.defer(token) : queue.abandon(token)))(context);
  });
  // Without a farewell the locks stay until they end by themselves.
  const vanish = () => queue.unsubscribe(consumer);
  peer.farewells.add(vanish);
  link.once('sender_close', () => {
    peer.farewells.delete(vanish);
    queue.unsubscribe(consumer);
    queue.releaseSession(consumer);
  });
}

/** What the receiver asks for with its disposition. */
function stateOf({ delivery }: EventContext) {
  return (delivery?.remote_state ?? {}) as { undeliverable_here?: boolean; error?: { info?: Record<string, unknown> } };
}

function answered(broker: Broker, delivery: Delivery, error: AmqpError | undefined): void {
  if (delivery.remote_settled || broker.takeFault('lostCompletions')) return;
  settle(delivery, error);
}

export function whenDue(broker: Broker, act: () => void): void {
  if (broker.faults.delayMs === 0) act();
  else broker.clock.after(broker.faults.delayMs, act);
}

/** The value of a filter, with or without a descriptor. */
function plain(filter: unknown): string | undefined {
  const value = typeof filter === 'object' && filter !== null && 'value' in filter ? filter.value : filter;
  return typeof value === 'string' ? value : undefined;
}
