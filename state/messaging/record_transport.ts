import type { TokenCredential } from '@azure/identity';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import type { Random } from '../../platform/random.ts';
import type { CallArchive } from '../outbox/ports.ts';
import { ArchiveConsumer } from './archive_consumer.ts';
import { BrokerView } from './broker_view.ts';
import { requiredEndpoint } from './endpoint.ts';
import { MessagingMetrics } from './metrics.ts';
import { ServiceBusArchive } from './service_bus_archive.ts';
import { closeServiceBus, openServiceBus, SERVICE_BUS_TIMES } from './service_bus_client.ts';
import type { MESSAGING_SETTINGS } from './settings.ts';

export interface RecordTransport {
  /** What outbox, foreign sweep and orphan finaliser write to and read from. */
  readonly archive: CallArchive;
  /** Begins to move records from the queue to the archive; nothing where they go straight. */
  start(): void;
  /** After the archiver has stopped: what is in hand is finished or given back. */
  stop(): Promise<void>;
}

export interface RecordTransportOptions {
  config: Config<typeof MESSAGING_SETTINGS>;
  /** Where records are kept for good. */
  archive: CallArchive;
  credential: TokenCredential;
  clock: Clock;
  random: Random;
  log: Log;
  registry: Registry;
}

/** How long a stop may wait for the end of the SDK's wait for a session. */
const ACCEPT_MS = 5_000;

/** The way of records through Service Bus. Throws ERR_MESSAGING_SETTINGS_INVALID. */
export function openRecordTransport(options: RecordTransportOptions): RecordTransport {
  const { config, archive, credential, clock, random, log, registry } = options;
  const { serviceBusNamespace: address, serviceBusConnectionString: connectionString, serviceBusQueue: queue } = config;
  const endpoint = requiredEndpoint('Service Bus', { address, connectionString }, credential);
  const metrics = new MessagingMetrics(registry);
  const sending = openServiceBus(endpoint);
  const view = new BrokerView({ open: () => openServiceBus(endpoint), queue, clock });
  const sender = new ServiceBusArchive({ client: sending, queue, metrics, view, reader: archive });
  // A connection of its own: its time for an operation is how long it waits for a session.
  const receiving = openServiceBus(endpoint, { ...SERVICE_BUS_TIMES, operationMs: ACCEPT_MS });
  const maxSessions = config.serviceBusSessions;
  const consumer = new ArchiveConsumer({ client: receiving, queue, archive, clock, random, log, metrics, maxSessions });
  return {
    archive: sender,
    start: () => consumer.start(),
    stop: async () => {
      await consumer.stop();
      await Promise.all([closeServiceBus(receiving, clock), closeServiceBus(sending, clock)]);
    },
  };
}
