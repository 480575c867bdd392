import { choice, flag, optionalText, setting, text, whole } from '../../platform/config.ts';

/** How records reach the archive: straight to Cosmos DB, or through a queue of Service Bus that archivers empty. */
export const RECORD_TRANSPORTS = ['Direct', 'ServiceBus'] as const;

/** Group of Web PubSub that supervisors listen to. */
export const FEED_GROUP = 'calls';

/** Managed messaging of a worker; everything is off unless it is named. A connection string wins over a namespace, which is opened with the process's Entra identity. */
export const MESSAGING_SETTINGS = {
  recordTransport: setting({
    env: 'RTVOICE_RECORD_TRANSPORT',
    description: 'How records reach Cosmos DB: `Direct`, or through a Service Bus queue.',
    schema: choice(...RECORD_TRANSPORTS),
    default: 'Direct',
  }),
  serviceBusNamespace: setting({
    env: 'RTVOICE_SERVICEBUS_NAMESPACE',
    description: 'Service Bus namespace, `<name>.servicebus.windows.net`; `-` is none.',
    schema: optionalText,
    default: '-',
  }),
  serviceBusConnectionString: setting({
    env: 'RTVOICE_SERVICEBUS_CONNECTION_STRING',
    description: 'Connection string instead of an identity; `-` is none.',
    schema: optionalText,
    default: '-',
    secret: true,
  }),
  serviceBusQueue: setting({
    env: 'RTVOICE_SERVICEBUS_QUEUE',
    description: 'Queue for records: with sessions and duplicate detection.',
    schema: text,
    default: 'rtvoice-records',
  }),
  serviceBusSessions: setting({
    env: 'RTVOICE_SERVICEBUS_SESSIONS',
    description: 'Calls whose records one worker moves from the queue to Cosmos DB at the same time; 0: it only sends.',
    schema: whole(0, 256),
    default: '8',
  }),
  eventHubNamespace: setting({
    env: 'RTVOICE_EVENTHUB_NAMESPACE',
    description: 'Event Hubs namespace for analytics; `-` is none.',
    schema: optionalText,
    default: '-',
  }),
  eventHubConnectionString: setting({
    env: 'RTVOICE_EVENTHUB_CONNECTION_STRING',
    description: 'Connection string instead of an identity; `-` is none.',
    schema: optionalText,
    default: '-',
    secret: true,
  }),
  eventHubName: setting({
    env: 'RTVOICE_EVENTHUB_NAME',
    description: 'Event hub for analytics.',
    schema: text,
    default: 'rtvoice-analytics',
  }),
  pubSubEndpoint: setting({
    env: 'RTVOICE_PUBSUB_ENDPOINT',
    description: 'Web PubSub endpoint for the live feed of supervisors, `https://…`; `-` is none.',
    schema: optionalText,
    default: '-',
  }),
  pubSubConnectionString: setting({
    env: 'RTVOICE_PUBSUB_CONNECTION_STRING',
    description: 'Connection string instead of an identity; `-` is none.',
    schema: optionalText,
    default: '-',
    secret: true,
  }),
  pubSubHub: setting({
    env: 'RTVOICE_PUBSUB_HUB',
    description: 'Hub of the live feed.',
    schema: text,
    default: 'rtvoice',
  }),
  pubSubText: setting({
    env: 'RTVOICE_PUBSUB_TEXT',
    description:
      'Let the live feed carry what was said last. Spoken text is personal data: leave it off unless supervisors may read it.',
    schema: flag,
    default: 'false',
  }),
} as const;
