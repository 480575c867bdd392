import { randomUUID } from 'node:crypto';
import { type Clock, sleep } from '../../platform/clock.ts';
import { isObject } from '../http.ts';
import type { Poster } from './poster.ts';

/** Both event schemas that a subscription can deliver in. */
export type EventSchema = 'eventGrid' | 'cloudEvents';

export interface Subscription {
  url: string;
  schema: EventSchema;
}

/** An event before it is put into a schema. */
export interface GridEvent {
  id: string;
  type: string;
  subject: string;
  time: string;
  data: unknown;
}

export interface EventGridOptions {
  /** ARM id of the resource whose events these are. */
  topic: string;
  /** Value of the delivery property `x-rtvoice-key`. */
  key: string;
  redeliveryMs: number;
  poster: Poster;
  clock: Clock;
}

const ATTEMPT_TIMEOUT_MS = 30_000;
/** Statuses after which Event Grid gives an event up (azure-docs, delivery and retry). */
const DROPPED: ReadonlySet<number> = new Set([400, 401, 403, 413]);
const VALIDATION = 'Microsoft.EventGrid.SubscriptionValidationEvent';
const ORIGIN = 'eventgrid.azure.net';

export type Delivery =
  /** Answered 200 to 204. */
  | 'delivered'
  /** Answered with a status that is not tried again. */
  | 'dropped'
  /** Its time was over. */
  | 'expired';

/** A system topic's webhook subscriptions: handshake first, then at-least-once delivery. */
export class EventGrid {
  readonly #options: EventGridOptions;
  readonly #validated = new Map<string, Promise<number>>();
  readonly #stopped = new AbortController();

  constructor(options: EventGridOptions) {
    this.#options = options;
  }

  /** Delivers until success, refusal or `deadlineMs` (monotonic); at least once. */
  async deliver(
    to: Subscription,
    events: readonly GridEvent[],
    options: { deadlineMs: number; onAttempt(status: number): void },
  ): Promise<Delivery> {
    const { clock, redeliveryMs } = this.#options;
    for (;;) {
      const status = await this.post(to, events);
      if (this.#stopped.signal.aborted) return 'expired';
      options.onAttempt(status);
      if (status >= 200 && status <= 204) return 'delivered';
      if (DROPPED.has(status)) return 'dropped';
      if (clock.monotonicMs() + redeliveryMs > options.deadlineMs) return 'expired';
      await sleep(clock, redeliveryMs, this.#stopped.signal).catch(() => undefined);
    }
  }

  /** One attempt, after the handshake; the status of whichever failed. */
  async post(to: Subscription, events: readonly GridEvent[]): Promise<number> {
    const handshake = await this.validate(to);
    if (handshake !== 200) return handshake;
    const { topic, poster } = this.#options;
    const single = to.schema === 'cloudEvents' && events.length === 1;
    const body = events.map((event) => (to.schema === 'eventGrid' ? gridForm(topic, event) : cloudForm(topic, event)));
    const reply = await poster.send('POST', to.url, {
      headers: this.#headers(to.schema, 'Notification', single),
      body: JSON.stringify(single ? body[0] : body),
      timeoutMs: ATTEMPT_TIMEOUT_MS,
    });
    return reply.status;
  }

  /** The handshake, once per subscription: 200 when it succeeded, else the status, or 0. A failed one is tried again when asked again. */
  validate(to: Subscription): Promise<number> {
    const key = `${to.schema} ${to.url}`;
    const known = this.#validated.get(key);
    if (known) return known;
    const handshake = (to.schema === 'eventGrid' ? this.#validateGrid(to.url) : this.#validateCloud(to.url)).then(
      (status) => {
        if (status !== 200) this.#validated.delete(key);
        return status;
      },
    );
    this.#validated.set(key, handshake);
    return handshake;
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Azure takes 200 alone, with the code in the answer; anything else counts as no answer. */
  async #validateGrid(url: string): Promise<number> {
    const { topic, poster } = this.#options;
    const validationCode = randomUUID();
    const validationUrl = `https://${ORIGIN}/eventsubscriptions/validate?id=${validationCode}`;
    const event = { id: randomUUID(), type: VALIDATION, subject: '', time: new Date().toISOString() };
    const reply = await poster.send('POST', url, {
      headers: this.#headers('eventGrid', 'SubscriptionValidation', false),
      body: JSON.stringify([gridForm(topic, { ...event, data: { validationCode, validationUrl } })]),
      timeoutMs: ATTEMPT_TIMEOUT_MS,
    });
    if (reply.status !== 200) return reply.status === 202 ? 0 : reply.status;
    return validationResponse(reply.body) === validationCode ? 200 : 0;
  }

  /** CloudEvents webhook specification, section 4. */
  async #validateCloud(url: string): Promise<number> {
    const reply = await this.#options.poster.send('OPTIONS', url, {
      headers: { 'webhook-request-origin': ORIGIN, 'x-rtvoice-key': this.#options.key },
      timeoutMs: ATTEMPT_TIMEOUT_MS,
    });
    if (reply.status < 200 || reply.status > 204) return reply.status;
    const allowed = reply.headers['webhook-allowed-origin'];
    return allowed === ORIGIN || allowed === '*' ? 200 : 0;
  }

  #headers(schema: EventSchema, type: string, single: boolean): Record<string, string> {
    const cloud = single ? 'application/cloudevents+json' : 'application/cloudevents-batch+json';
    return {
      'content-type': `${schema === 'eventGrid' ? 'application/json' : cloud}; charset=utf-8`,
      'aeg-event-type': type,
      'aeg-subscription-name': 'RTVOICE',
      'aeg-delivery-count': '0',
      'x-rtvoice-key': this.#options.key,
    };
  }
}

function gridForm(topic: string, { id, type, subject, time, data }: GridEvent) {
  return { id, topic, subject, data, eventType: type, dataVersion: '1.0', metadataVersion: '1', eventTime: time };
}

function cloudForm(topic: string, { id, type, subject, time, data }: GridEvent) {
  return { id, source: topic, specversion: '1.0', type, subject, time, data };
}

function validationResponse(body: string): unknown {
  try {
    const answer: unknown = JSON.parse(body);
    return isObject(answer) ? answer.validationResponse : undefined;
  } catch {
    return undefined;
  }
}
