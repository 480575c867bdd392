import type { TokenCredential } from '@azure/identity';
import { type PoolRef, poolTag } from '../contract/ids.ts';
import type { CallEndReason } from '../contract/reasons.ts';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';
import type { Registry } from '../platform/metrics.ts';
import type { AnalyticsEvent, AnalyticsStream } from '../state/messaging/analytics_stream.ts';
import { endpointOf } from '../state/messaging/endpoint.ts';
import type { CallUpdate, LiveFeed } from '../state/messaging/live_feed.ts';
import { FEED_GROUP, type MESSAGING_SETTINGS } from '../state/messaging/settings.ts';

/** What feeds tell of a call. */
export interface FedCall {
  readonly callConnectionId: string | undefined;
  readonly createdAtMs: number;
  readonly turns: { readonly count: number };
}

/** The calls' side of the feeds. Nothing here waits or throws: a call does not notice whether anybody listens. */
export interface CallFeeds {
  started(call: FedCall): void;
  takenOver(call: FedCall): void;
  /** `text`: what was said; leaves the process only where the live feed is told to carry it. */
  turn(call: FedCall, text: string): void;
  bargeIn(call: FedCall): void;
  ended(call: FedCall, reason: CallEndReason): void;
}

export interface Feeds extends CallFeeds {
  start(): void;
  stop(): Promise<void>;
}

export interface FeedsOptions {
  config: Config<typeof MESSAGING_SETTINGS>;
  credential: TokenCredential;
  pool: PoolRef;
  clock: Clock;
  log: Log;
  registry: Registry;
}

/** Analytics for Event Hubs and the live feed for Web PubSub, each where it is configured. */
export async function openFeeds(options: FeedsOptions): Promise<Feeds> {
  return new ConfiguredFeeds(options, await openAnalytics(options), await openLiveFeed(options));
}

/** Loaded only where it is used, as the next one: each SDK costs every start of a worker. */
async function openAnalytics(options: FeedsOptions): Promise<AnalyticsStream | undefined> {
  const { config, credential, clock, log, registry } = options;
  const named = { address: config.eventHubNamespace, connectionString: config.eventHubConnectionString };
  const endpoint = endpointOf('Event Hubs', named, credential);
  if (!endpoint) return undefined;
  const { AnalyticsStream, openEventHub } = await import('../state/messaging/analytics_stream.ts');
  return new AnalyticsStream({ producer: openEventHub(endpoint, config.eventHubName), clock, log, registry });
}

async function openLiveFeed(options: FeedsOptions): Promise<LiveFeed | undefined> {
  const { config, credential, clock, log, registry } = options;
  const named = { address: config.pubSubEndpoint, connectionString: config.pubSubConnectionString };
  const endpoint = endpointOf('Web PubSub', named, credential);
  if (!endpoint) return undefined;
  const { LiveFeed, openPubSub } = await import('../state/messaging/live_feed.ts');
  const client = openPubSub(endpoint, config.pubSubHub);
  return new LiveFeed({ client, group: FEED_GROUP, includeText: config.pubSubText, clock, log, registry });
}

class ConfiguredFeeds implements Feeds {
  readonly #clock: Clock;
  readonly #pool: string;
  readonly #analytics: AnalyticsStream | undefined;
  readonly #live: LiveFeed | undefined;

  constructor({ clock, pool }: FeedsOptions, analytics: AnalyticsStream | undefined, live: LiveFeed | undefined) {
    this.#clock = clock;
    this.#pool = poolTag(pool);
    this.#analytics = analytics;
    this.#live = live;
  }

  start(): void {
    this.#analytics?.start();
    this.#live?.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#analytics?.stop(), this.#live?.stop()]);
  }

  started(call: FedCall): void {
    this.#tell(call, { type: 'callStarted' }, { state: 'started' });
  }

  takenOver(call: FedCall): void {
    this.#tell(call, { type: 'takenOver' }, { state: 'inProgress' });
  }

  turn(call: FedCall, text: string): void {
    this.#tell(call, { type: 'turn', turns: call.turns.count }, { state: 'inProgress', text });
  }

  bargeIn(call: FedCall): void {
    this.#tell(call, { type: 'bargeIn' });
  }

  ended(call: FedCall, reason: CallEndReason): void {
    const durationMs = Math.round(this.#clock.monotonicMs() - call.createdAtMs);
    this.#tell(call, { type: 'callEnded', turns: call.turns.count, durationMs, reason }, { state: 'ended' });
  }

  #tell(
    { callConnectionId, turns }: FedCall,
    event: Omit<AnalyticsEvent, 'callConnectionId' | 'atMs' | 'pool'>,
    update?: Pick<CallUpdate, 'state' | 'text'>,
  ): void {
    // A call that never got its id was never answered: nobody follows it.
    if (callConnectionId === undefined) return;
    const atMs = this.#clock.wallMs();
    this.#analytics?.record({ callConnectionId, atMs, pool: this.#pool, ...event });
    if (update) this.#live?.publish({ callConnectionId, atMs, turns: turns.count, ...update });
  }
}
