import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Connection, Container, EventContext, Receiver, Sender } from 'rhea';
import rhea from 'rhea';
import { type Clock, systemClock } from '../../platform/clock.ts';
import type { Place, TlsFiles } from '../http.ts';
import { Broker, type ServiceBusFaults } from './broker.ts';
import { type ClaimRules, Claims, provesClaim, type VerifyToken } from './claims.ts';
import type { EventHub, HubSettings } from './event_hub.ts';
import { type Desks, openIncoming, openOutgoing, type Peer } from './links.ts';
import { manageQueue, readHub } from './management.ts';
import type { BrokerQueue, QueueSettings } from './queue.ts';
import { silence, watchConnections } from './silence.ts';

export interface ServiceBusOptions {
  /** Without it the wire is plain AMQP, as with `UseDevelopmentEmulator=true`. */
  tls?: TlsFiles;
  port?: number;
  place?: Place;
  queues?: Readonly<Record<string, Partial<QueueSettings>>>;
  hubs?: Readonly<Record<string, Partial<HubSettings>>>;
  /** Of the one shared access policy. */
  key?: string;
  verifyToken?: VerifyToken;
  clock?: Clock;
}

export interface ServiceBusSimulator {
  readonly port: number;
  /** `<host>:<port>`, what a client with a token takes as the namespace. */
  readonly namespace: string;
  readonly connectionString: string;
  readonly faults: ServiceBusFaults;
  /** Also of `<name>/$DeadLetterQueue`. Throws when there is none. */
  queue(name: string): BrokerQueue;
  hub(name: string): EventHub;
  /** Cuts every connection; clients may come back at once unless `faults.down`. */
  dropConnections(): void;
  /** Connections since the start. */
  readonly connections: number;
  stop(): Promise<void>;
}

const KEY_NAME = 'RootManageSharedAccessKey';
/** As a queue of the Standard tier that nobody has set up further, with what rtvoice asks for: sessions and duplicate detection. */
const QUEUE: QueueSettings = {
  ...{ sessions: true, lockMs: 30_000, maxDeliveryCount: 10, duplicateWindowMs: 600_000, maxMessageBytes: 256 * 1024 },
};
const HUB: HubSettings = { partitions: 4, maxMessageBytes: 1024 * 1024 };

/** One namespace of Service Bus and Event Hubs on one port, as `@azure/service-bus` and `@azure/event-hubs` speak to it. */
export async function startServiceBus(options: ServiceBusOptions = {}): Promise<ServiceBusSimulator> {
  const { key = 'simulated-shared-access-key', clock = systemClock, tls } = options;
  const { bindAddress = '127.0.0.1', host = tls ? 'localhost' : '127.0.0.1' } = options.place ?? {};
  const broker = new Broker(clock);
  for (const [name, settings] of Object.entries(options.queues ?? {})) broker.addQueue(name, { ...QUEUE, ...settings });
  for (const [name, settings] of Object.entries(options.hubs ?? {})) broker.addHub(name, { ...HUB, ...settings });
  const rules = { keyName: KEY_NAME, key, verifyToken: options.verifyToken, nowMs: () => clock.wallMs() };
  const container = listening(broker, desksOf(broker, rules));
  const met = watchConnections(container);
  const common = { port: options.port ?? 0, host: bindAddress, ...LINK_OPTIONS };
  const server: Server = tls
    ? container.listen({ ...common, transport: 'tls', key: tls.key, cert: tls.cert, minVersion: 'TLSv1.2' })
    : container.listen({ ...common, transport: 'tcp' });
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (broker.faults.down) socket.destroy();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const dropConnections = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    namespace: `${host}:${port}`,
    connectionString: `Endpoint=sb://${host}:${port};SharedAccessKeyName=${KEY_NAME};SharedAccessKey=${key}${tls ? '' : ';UseDevelopmentEmulator=true'}`,
    faults: broker.faults,
    queue: (name) => existing(broker.queue(name), name),
    hub: (name) => existing(broker.hub(name), name),
    dropConnections,
    get connections() {
      return connections;
    },
    stop: async () => {
      broker.stop();
      const closed = once(server, 'close');
      server.close();
      dropConnections();
      await closed;
      for (const connection of met) silence(connection);
    },
  };
}

/** Links are driven by hand: nothing is accepted or settled unless the broker says so. */
const LINK_OPTIONS = {
  sender_options: { autosettle: false, treat_modified_as_released: false },
  receiver_options: { autoaccept: false, autosettle: false, credit_window: 1_000 },
} as const;

function existing<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw new Error(`the simulator has no entity ${name}`);
  return found;
}

function listening(broker: Broker, desks: Desks): Container {
  const container = rhea.create_container({ id: 'simulated-service-bus' });
  const mechanisms = container.sasl_server_mechanisms;
  mechanisms.enable_anonymous();
  // Who connects proves nothing by SASL: entities open to claims alone, which arrive on $cbs.
  mechanisms.enable_plain(() => true);
  mechanisms.MSSBCBS = () => ({
    outcome: undefined as boolean | undefined,
    username: 'cbs',
    start() {
      this.outcome = true;
    },
  });
  const peers = new WeakMap<Connection, Peer>();
  const peerOf = (connection: Connection) => {
    const peer = peers.get(connection) ?? {
      claims: new Claims(),
      replies: new Map<string, Sender>(),
      farewells: new Set<() => void>(),
    };
    peers.set(connection, peer);
    return peer;
  };
  container.on('sender_open', ({ connection, sender }: EventContext) =>
    openOutgoing(broker, peerOf(connection), sender as Sender),
  );
  container.on('receiver_open', ({ connection, receiver }: EventContext) =>
    openIncoming(broker, peerOf(connection), desks, receiver as Receiver),
  );
  for (const event of ['disconnected', 'connection_close'])
    container.on(event, ({ connection }: EventContext) => {
      for (const farewell of [...peerOf(connection).farewells]) farewell();
    });
  // Clients come and go, with and without a farewell; rhea prints or throws what nobody listens to.
  const ignored = ['connection_error', 'session_error', 'sender_error', 'receiver_error', 'protocol_error', 'error'];
  for (const event of ignored) container.on(event, () => undefined);
  return container;
}

function desksOf(broker: Broker, rules: ClaimRules): Desks {
  return {
    claims:
      ({ claims }) =>
      async ({ body, application_properties: { name, type } = {} }) => {
        const audience = String(name);
        const good = await provesClaim(rules, type, audience, String(body));
        if (good) claims.add(audience);
        const status = good
          ? { code: 202, text: 'Accepted' }
          : { code: 401, text: 'InvalidSignature: the token does not open this entity.' };
        return { application_properties: { 'status-code': status.code, 'status-description': status.text }, body: {} };
      },
    management: (entity) => async (request) =>
      request.application_properties?.operation === 'READ' ? readHub(broker, request) : manageQueue(entity, request),
  };
}
