import './messaging_timers.ts';
import { systemClock } from '../../platform/clock.ts';
import { silentLog } from '../../platform/log.ts';
import { createRegistry, type Registry } from '../../platform/metrics.ts';
import { seededRandom } from '../../platform/random.ts';
import { type CosmosSimulator, startCosmosSimulator } from '../../simulators/cosmos/server.ts';
import type { BrokerQueue, QueueSettings } from '../../simulators/servicebus/queue.ts';
import { type ServiceBusSimulator, startServiceBus } from '../../simulators/servicebus/server.ts';
import { CosmosArchive } from '../../state/cosmos/archive.ts';
import { openCosmos } from '../../state/cosmos/client.ts';
import { PLAIN_HEADER } from '../../state/envelope.ts';
import { ArchiveConsumer, type ArchiveConsumerOptions } from '../../state/messaging/archive_consumer.ts';
import { BrokerView } from '../../state/messaging/broker_view.ts';
import { DeadLetters } from '../../state/messaging/dead_letters.ts';
import { MessagingMetrics } from '../../state/messaging/metrics.ts';
import { ServiceBusArchive } from '../../state/messaging/service_bus_archive.ts';
import { openServiceBus } from '../../state/messaging/service_bus_client.ts';
import type { ArchiveRecord, CallArchive } from '../../state/outbox/ports.ts';
import { makeTls } from './tls.ts';

const KEY = Buffer.from('a master key of the simulator').toString('base64');
const HANG_LIMIT_MS = 30_000;
export const QUEUE = 'records';
/** Short, so that a test that waits for the broker's time limit is quick. */
const TIMES = { operationMs: 1_000, retries: 1, retryDelayMs: 20 };

/** A stop waits for the end of a wait for sessions. */
const ACCEPT_MS = 300;

export interface MessagingBench {
  bus: ServiceBusSimulator;
  cosmos: CosmosSimulator;
  cosmosArchive: CosmosArchive;
  queue: BrokerQueue;
  dead: BrokerQueue;
  archive: ServiceBusArchive;
  deadLetters: DeadLetters;
  view: BrokerView;
  /** Of the sending side. */
  registry: Registry;
  consumer(more?: Partial<ArchiveConsumerOptions> & { archive?: CallArchive }): TestConsumer;
  /** Resolves once it holds; asked again whenever something happens in the queue. */
  until(done: () => boolean): Promise<void>;
  stored(call: string): string[];
  stop(): Promise<void>;
}

export interface TestConsumer {
  consumer: ArchiveConsumer;
  registry: Registry;
  metric(name: string, result?: string): Promise<number>;
  stop(): Promise<void>;
}

/** Cosmos DB and Service Bus, both simulated and spoken to by their real SDKs. */
export async function startMessaging(settings: Partial<QueueSettings> = {}): Promise<MessagingBench> {
  const tls = await makeTls();
  const cosmos = await startCosmosSimulator({ tls, masterKey: KEY });
  const bus = await startServiceBus({ queues: { [QUEUE]: { lockMs: 2_000, ...settings } } });
  const credential = { kind: 'key', key: KEY } as const;
  const database = openCosmos({ endpoint: cosmos.endpoint, database: 'rtvoice', credential, caPem: tls.caPem });
  await database.ensure();
  const cosmosArchive = new CosmosArchive({ database });
  const endpoint = { kind: 'connectionString', connectionString: bus.connectionString } as const;
  const open = () => openServiceBus(endpoint, TIMES);
  const client = open();
  const registry = createRegistry({ processMetrics: false });
  const view = new BrokerView({ open, queue: QUEUE, clock: systemClock });
  const metrics = new MessagingMetrics(registry);
  const archive = new ServiceBusArchive({ client, queue: QUEUE, metrics, view, reader: cosmosArchive });
  const queue = bus.queue(QUEUE);
  const dead = bus.queue(`${QUEUE}/$DeadLetterQueue`);
  const consumers: TestConsumer[] = [];
  return {
    ...{ bus, cosmos, cosmosArchive, queue, dead, archive, view, registry },
    deadLetters: new DeadLetters({ client, queue: QUEUE, view, clock: systemClock, settleMs: 500 }),
    consumer: (more) => {
      const made = newConsumer(openServiceBus(endpoint, { ...TIMES, operationMs: ACCEPT_MS }), {
        archive: cosmosArchive,
        ...more,
      });
      consumers.push(made);
      return made;
    },
    until: (done) => until([queue, dead], done),
    stored: (call) =>
      cosmos
        .documents('rtvoice', 'transcripts')
        .filter((document) => document.callConnectionId === call)
        .map(({ id }) => String(id)),
    stop: async () => {
      await Promise.all(consumers.map((each) => each.stop()));
      await client.close();
      database.close();
      await Promise.all([bus.stop(), cosmos.stop()]);
    },
  };
}

function newConsumer(
  client: ReturnType<typeof openServiceBus>,
  more: Partial<ArchiveConsumerOptions> & { archive: Pick<CallArchive, 'write' | 'writeAll'> },
): TestConsumer {
  const registry = createRegistry({ processMetrics: false });
  const consumer = new ArchiveConsumer({
    ...{ client, queue: QUEUE, clock: systemClock, random: seededRandom(7), log: silentLog },
    ...{ metrics: new MessagingMetrics(registry), maxSessions: 4, idleMs: 50, settleMs: 500 },
    ...more,
  });
  consumer.start();
  let stopped: Promise<void> | undefined;
  return {
    consumer,
    registry,
    metric: (name, result) => metric(registry, name, result),
    stop: () => {
      stopped ??= consumer.stop().then(() => client.close());
      return stopped;
    },
  };
}

export async function metric(registry: Registry, name: string, result?: string): Promise<number> {
  const { values } = (await registry.getSingleMetric(name)?.get()) ?? { values: [] };
  return (
    values.find(({ labels }) => result === undefined || (labels as Record<string, unknown>).result === result)?.value ??
    0
  );
}

export async function until(queues: readonly BrokerQueue[], done: () => boolean): Promise<void> {
  if (done()) return;
  const stops: (() => void)[] = [];
  // The limit turns a hang into a failure; no passing test comes near it.
  const limit = AbortSignal.timeout(HANG_LIMIT_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      limit.addEventListener('abort', () => reject(new Error('the queue never came to that')));
      const check = () => {
        if (done()) resolve();
      };
      for (const queue of queues) stops.push(queue.whenSessions(check));
    });
  } finally {
    for (const stop of stops) stop();
  }
}

export function turn(callConnectionId: string, seq: number, text = `turn ${seq}`): ArchiveRecord {
  const id = `turn-${String(seq).padStart(6, '0')}`;
  return { callConnectionId, id, kind: 'turn', header: PLAIN_HEADER, body: { seq, role: 'caller', text, atMs: seq } };
}

export const turns = (call: string, count: number, from = 1): ArchiveRecord[] =>
  Array.from({ length: count }, (_, index) => turn(call, from + index));
