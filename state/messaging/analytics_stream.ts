import { type EventDataBatch, EventHubProducerClient } from '@azure/event-hubs';
import { type Clock, sleep, type Timer } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import { Counter, type Registry } from '../../platform/metrics.ts';
import type { MessagingEndpoint } from './endpoint.ts';
import { brokerCode } from './errors.ts';

/** One thing that happened in a call, for analytics. No spoken text and no numbers of callers: fields are closed on purpose. */
export interface AnalyticsEvent {
  readonly callConnectionId: string;
  readonly type: 'callStarted' | 'turn' | 'bargeIn' | 'takenOver' | 'callEnded';
  readonly atMs: number;
  readonly pool?: string;
  readonly turns?: number;
  readonly durationMs?: number;
  readonly reason?: string;
}

export interface AnalyticsStreamOptions {
  producer: EventHubProducerClient;
  clock: Clock;
  log: Log;
  registry: Registry;
  /** Events that wait; beyond it the oldest is dropped. */
  maxEvents?: number;
  flushMs?: number;
}

const RESULTS = ['sent', 'dropped', 'failed'] as const;
const MAX_EVENTS = 10_000;
const FLUSH_MS = 1_000;
/** Calls whose events are sent at the same time. */
const PARALLEL = 8;
const TIMES = { maxRetries: 1, timeoutInMs: 5_000, retryDelayInMs: 200, maxRetryDelayInMs: 200 } as const;

export function openEventHub(endpoint: MessagingEndpoint, name: string, times: object = TIMES): EventHubProducerClient {
  const options = { retryOptions: { ...TIMES, ...times } };
  return endpoint.kind === 'connectionString'
    ? new EventHubProducerClient(endpoint.connectionString, name, options)
    : new EventHubProducerClient(endpoint.address, name, endpoint.credential, options);
}

/**
 * Events of calls for an event hub. The partition key is the call, so that one call's events stay in order. It fails open: `record`
 * never waits and never throws; what finds no room or no taker is dropped and counted.
 */
export class AnalyticsStream {
  readonly #options: AnalyticsStreamOptions;
  readonly #events: Counter<'result'>;
  #waiting: AnalyticsEvent[] = [];
  #timer: Timer | undefined;
  #flushing: Promise<void> | undefined;
  #troubled = false;

  constructor(options: AnalyticsStreamOptions) {
    this.#options = options;
    this.#events = new Counter({
      name: 'rtvoice_analytics_events_total',
      help: 'Analytics events by result: sent; dropped (no room or too large); failed (the event hub did not take them).',
      labelNames: ['result'],
      registers: [options.registry],
    });
    for (const result of RESULTS) this.#events.inc({ result }, 0);
  }

  /** Events that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Overflow policy: the oldest is dropped, since the newest say most about the trouble of now. */
  record(event: AnalyticsEvent): void {
    this.#waiting.push(event);
    if (this.#waiting.length <= (this.#options.maxEvents ?? MAX_EVENTS)) return;
    this.#waiting.shift();
    this.#events.inc({ result: 'dropped' });
  }

  start(): void {
    const { clock, flushMs = FLUSH_MS } = this.#options;
    this.#timer = clock.every(flushMs, () => void this.flush());
  }

  /** Sends what waits; one at a time. Never rejects. */
  flush(): Promise<void> {
    this.#flushing ??= this.#sendAll().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  /** Tries once more for at most `deadlineMs`; what is left then is lost with the process and counted. */
  async stop(deadlineMs = 2_000): Promise<void> {
    this.#timer?.cancel();
    const { clock, producer, log } = this.#options;
    const last = (async () => {
      await this.#flushing;
      await this.flush();
    })();
    await Promise.race([last, sleep(clock, deadlineMs)]);
    this.#events.inc({ result: 'dropped' }, this.#waiting.length);
    this.#waiting = [];
    await producer.close().catch((error) => log.debug({ code: brokerCode(error) }, 'the event hub was not closed'));
  }

  async #sendAll(): Promise<void> {
    const groups = [...byCall(this.#waiting)];
    this.#waiting = [];
    for (let at = 0; at < groups.length; at += PARALLEL) {
      await Promise.all(groups.slice(at, at + PARALLEL).map(([call, events]) => this.#sendCall(call, events)));
    }
  }

  async #sendCall(partitionKey: string, events: readonly AnalyticsEvent[]): Promise<void> {
    let left = events;
    try {
      while (left.length > 0) {
        const batch = await this.#options.producer.createBatch({ partitionKey });
        const taken = fill(batch, left);
        if (taken > 0) await this.#options.producer.sendBatch(batch);
        this.#events.inc({ result: taken > 0 ? 'sent' : 'dropped' }, Math.max(1, taken));
        left = left.slice(Math.max(1, taken));
      }
      this.#troubled = false;
    } catch (error) {
      this.#events.inc({ result: 'failed' }, left.length);
      if (!this.#troubled)
        this.#options.log.warn({ reason: brokerCode(error) }, 'the event hub takes no analytics now');
      this.#troubled = true;
    }
  }
}

/** How many of the first events the batch took. */
function fill(batch: EventDataBatch, events: readonly AnalyticsEvent[]): number {
  let taken = 0;
  for (const event of events) {
    if (!batch.tryAdd({ body: event, contentType: 'application/json', properties: { type: event.type } })) break;
    taken += 1;
  }
  return taken;
}

function byCall(events: readonly AnalyticsEvent[]): Map<string, AnalyticsEvent[]> {
  const groups = new Map<string, AnalyticsEvent[]>();
  for (const event of events) {
    const group = groups.get(event.callConnectionId) ?? [];
    groups.set(event.callConnectionId, group);
    group.push(event);
  }
  return groups;
}
