import { WebPubSubServiceClient } from '@azure/web-pubsub';
import { type Clock, sleep, type Timer } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { Counter, type Registry } from '../../platform/metrics.ts';
import type { MessagingEndpoint } from './endpoint.ts';

/** What supervisors see of one call: its latest state. */
export interface CallUpdate {
  readonly callConnectionId: string;
  readonly state: 'started' | 'inProgress' | 'ended';
  readonly turns: number;
  readonly atMs: number;
  /** What was said last; leaves the process only when the feed is told to carry text. */
  readonly text?: string;
}

/** One message of the feed. */
export interface FeedMessage {
  readonly v: 1;
  readonly updates: readonly CallUpdate[];
}

export interface LiveFeedOptions {
  client: WebPubSubServiceClient;
  /** Group that viewers listen to. */
  group: string;
  includeText: boolean;
  clock: Clock;
  log: Log;
  registry: Registry;
  /** Calls whose update waits; beyond it the update that waited longest is dropped. */
  maxCalls?: number;
  flushMs?: number;
}

const RESULTS = ['sent', 'coalesced', 'dropped', 'failed'] as const;
const MAX_CALLS = 5_000;
const FLUSH_MS = 500;
/** A message of the service holds 1 MB; an update with text is bounded well below a hundredth of that. */
const UPDATES_PER_MESSAGE = 200;
const MAX_TEXT = 500;
const RETRY = { maxRetries: 1, retryDelayInMs: 200, maxRetryDelayInMs: 1_000 };

export function openPubSub(endpoint: MessagingEndpoint, hub: string): WebPubSubServiceClient {
  const options = { retryOptions: RETRY };
  return endpoint.kind === 'connectionString'
    ? new WebPubSubServiceClient(endpoint.connectionString, hub, options)
    : new WebPubSubServiceClient(endpoint.address, endpoint.credential, hub, options);
}

/**
 * Publishes calls to a group of Web PubSub for supervisors. Only the latest state of a call waits, so a viewer that misses one is
 * right again with the next. It fails open: `publish` never waits and never throws.
 */
export class LiveFeed {
  readonly #options: LiveFeedOptions;
  readonly #updates: Counter<'result'>;
  /** In the order of the first update that waits. */
  readonly #waiting = new Map<string, CallUpdate>();
  #timer: Timer | undefined;
  #flushing: Promise<void> | undefined;
  #troubled = false;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.#updates = new Counter({
      name: 'rtvoice_live_feed_updates_total',
      help: 'Updates of calls for supervisors by result: sent, coalesced (a later one took its place), dropped (no room), failed.',
      labelNames: ['result'],
      registers: [options.registry],
    });
    for (const result of RESULTS) this.#updates.inc({ result }, 0);
  }

  publish(update: CallUpdate): void {
    const { maxCalls = MAX_CALLS } = this.#options;
    if (this.#waiting.has(update.callConnectionId)) this.#updates.inc({ result: 'coalesced' });
    this.#waiting.set(update.callConnectionId, this.#shown(update));
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size <= maxCalls || oldest === undefined) return;
    this.#waiting.delete(oldest);
    this.#updates.inc({ result: 'dropped' });
  }

  start(): void {
    const { clock, flushMs = FLUSH_MS } = this.#options;
    this.#timer = clock.every(flushMs, () => void this.flush());
  }

  /** Sends what waits; one at a time. Never rejects. */
  flush(): Promise<void> {
    this.#flushing ??= this.#send().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async stop(deadlineMs = 1_000): Promise<void> {
    this.#timer?.cancel();
    const last = (async () => {
      await this.#flushing;
      await this.flush();
    })();
    await Promise.race([last, sleep(this.#options.clock, deadlineMs)]);
  }

  /**
   * URL and token with which a viewer's browser connects: it is in the group from the start and may neither publish nor join another.
   * Rejects with the service's or the authority's error.
   */
  async viewer(userId: string, minutes = 60): Promise<{ url: string; token: string }> {
    const { client, group } = this.#options;
    const options = { userId, groups: [group], roles: [], expirationTimeInMinutes: minutes };
    const { baseUrl, token } = await client.getClientAccessToken(options);
    // The token stays out of the URL, which proxies write into their logs.
    return { url: baseUrl, token };
  }

  async #send(): Promise<void> {
    const updates = [...this.#waiting.values()];
    this.#waiting.clear();
    for (let at = 0; at < updates.length; at += UPDATES_PER_MESSAGE) {
      await this.#sendOne(updates.slice(at, at + UPDATES_PER_MESSAGE));
    }
  }

  async #sendOne(updates: readonly CallUpdate[]): Promise<void> {
    const { client, group, log } = this.#options;
    try {
      await client.group(group).sendToAll({ v: 1, updates } satisfies FeedMessage);
      this.#updates.inc({ result: 'sent' }, updates.length);
      this.#troubled = false;
    } catch (error) {
      this.#updates.inc({ result: 'failed' }, updates.length);
      if (!this.#troubled) log.warn({ reason: errorCode(error) }, 'Web PubSub takes no updates now');
      this.#troubled = true;
    }
  }

  #shown({ text, ...update }: CallUpdate): CallUpdate {
    return this.#options.includeText && text !== undefined ? { ...update, text: text.slice(0, MAX_TEXT) } : update;
  }
}
