import type { ServiceBusClient } from '@azure/service-bus';
import { readPool } from '../contract/pool.ts';
import { createCredential } from '../platform/azure_credential.ts';
import { systemClock } from '../platform/clock.ts';
import { loadConfig } from '../platform/config.ts';
import { silentLog } from '../platform/log.ts';
import { createRegistry } from '../platform/metrics.ts';
import { CosmosArchive } from '../state/cosmos/archive.ts';
import { openCosmos } from '../state/cosmos/client.ts';
import { RedisKeyManager } from '../state/keys/key_manager.ts';
import { BrokerView } from '../state/messaging/broker_view.ts';
import { DeadLetters } from '../state/messaging/dead_letters.ts';
import { MESSAGING_SETTINGS_INVALID, requiredEndpoint } from '../state/messaging/endpoint.ts';
import { MessagingMetrics } from '../state/messaging/metrics.ts';
import { ServiceBusArchive } from '../state/messaging/service_bus_archive.ts';
import { closeServiceBus, openServiceBus } from '../state/messaging/service_bus_client.ts';
import { MESSAGING_SETTINGS } from '../state/messaging/settings.ts';
import type { CallArchive } from '../state/outbox/ports.ts';
import { Quarantine } from '../state/outbox/quarantine.ts';
import { openRedisAccess } from '../state/redis/access.ts';
import { RedisClient } from '../state/redis/client.ts';
import { REDIS_SETTINGS } from '../state/redis/settings.ts';
import { WORKER_SETTINGS } from '../worker/settings.ts';

/** The stores of a fleet, opened with the environment of one of its workers. */
export interface OutboxStores {
  readonly quarantine: Quarantine;
  /** Undefined where records go straight to Cosmos DB. */
  readonly deadLetters: DeadLetters | undefined;
  readonly archive: CallArchive;
  close(): Promise<void>;
}

const { poolFile, cosmosEndpoint, cosmosDatabase } = WORKER_SETTINGS;

/** Throws ERR_CONFIG_INVALID, ERR_POOL_…, ERR_MESSAGING_SETTINGS_INVALID or ERR_REDIS_UNAVAILABLE. */
export async function openOutboxStores(env: Readonly<Record<string, string | undefined>>): Promise<OutboxStores> {
  const settings = { poolFile, cosmosEndpoint, cosmosDatabase, ...REDIS_SETTINGS, ...MESSAGING_SETTINGS };
  const config = loadConfig(settings, env);
  const { spec } = readPool(config.poolFile, { onUnknown: () => undefined });
  const credential = createCredential(env.AZURE_AUTHORITY_HOST);
  if (config.cosmosEndpoint === undefined) throw MESSAGING_SETTINGS_INVALID.with('no Cosmos DB is configured');
  const registry = createRegistry({ processMetrics: false });
  const database = openCosmos({
    endpoint: config.cosmosEndpoint,
    database: config.cosmosDatabase,
    credential: { kind: 'entra', credential },
  });
  const shared = { clock: systemClock, log: silentLog, registry };
  const tokenCredential = () => Promise.resolve(credential);
  const { layout, ...access } = await openRedisAccess({ config, ...shared, tokenCredential });
  const redis = new RedisClient({ ...access, ...shared, role: 'patient', name: 'rtvoice-outbox' });
  const cosmos = new CosmosArchive({ database });
  const { serviceBusNamespace: address, serviceBusConnectionString: connectionString, serviceBusQueue: queue } = config;
  let client: ServiceBusClient | undefined;
  let archive: CallArchive = cosmos;
  let deadLetters: DeadLetters | undefined;
  if (config.recordTransport === 'ServiceBus') {
    const endpoint = requiredEndpoint('Service Bus', { address, connectionString }, credential);
    const view = new BrokerView({ open: () => openServiceBus(endpoint), queue, clock: systemClock });
    client = openServiceBus(endpoint);
    deadLetters = new DeadLetters({ client, queue, view, clock: systemClock });
    archive = new ServiceBusArchive({ client, queue, view, reader: cosmos, metrics: new MessagingMetrics(registry) });
  }
  const close = async () => {
    await Promise.all([redis.close(), client && closeServiceBus(client, systemClock)]);
    access.credentials.close();
    database.close();
  };
  try {
    await redis.ready();
  } catch (error) {
    await close();
    throw error;
  }
  const keys = new RedisKeyManager({ environment: spec.environment, appPrefix: spec.redis.keyPrefix, layout });
  return { quarantine: new Quarantine({ redis, keys }), deadLetters, archive, close };
}
