import { ServiceBusClient } from '@azure/service-bus';
import type { Clock } from '../../platform/clock.ts';
import type { MessagingEndpoint } from './endpoint.ts';
import { MESSAGING_UNAVAILABLE } from './errors.ts';
import { SETTLE_LIMIT_MS, withinLimit } from './time_limit.ts';

export interface ServiceBusTimes {
  /** One attempt of an operation; also how long one wait for a free session lasts. */
  readonly operationMs: number;
  /** Attempts after the first. Few: outbox and queue hold what failed, and their pauses grow for all calls at once. */
  readonly retries: number;
  readonly retryDelayMs: number;
}

export const SERVICE_BUS_TIMES: ServiceBusTimes = { operationMs: 10_000, retries: 1, retryDelayMs: 200 };

/** One AMQP connection for all that a process does with a namespace; made with the first use, and anew after it broke. */
export function openServiceBus(
  endpoint: MessagingEndpoint,
  times: ServiceBusTimes = SERVICE_BUS_TIMES,
): ServiceBusClient {
  const retryOptions = {
    timeoutInMs: times.operationMs,
    maxRetries: times.retries,
    retryDelayInMs: times.retryDelayMs,
    maxRetryDelayInMs: times.retryDelayMs,
  };
  return endpoint.kind === 'connectionString'
    ? new ServiceBusClient(endpoint.connectionString, { retryOptions })
    : new ServiceBusClient(endpoint.address, endpoint.credential, { retryOptions });
}

/** Ends the connection. The SDK's own close never ends when the connection breaks while a link is being closed: then it is left behind. */
export async function closeServiceBus(
  client: ServiceBusClient,
  clock: Clock,
  limitMs = SETTLE_LIMIT_MS,
): Promise<void> {
  await withinLimit(clock, limitMs, client.close(), () => MESSAGING_UNAVAILABLE.with('closing')).catch(() => undefined);
}
