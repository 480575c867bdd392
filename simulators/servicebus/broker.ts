import type { Clock } from '../../platform/clock.ts';
import { EventHub, type HubSettings } from './event_hub.ts';
import { BrokerQueue, type QueueSettings } from './queue.ts';

/** Trouble on demand; changed at any time, it holds for what comes from then on. */
export interface ServiceBusFaults {
  /** Connections are cut as they come in. */
  down: boolean;
  /** So many transfers are refused as `com.microsoft:server-busy`. */
  throttle: number;
  /** So many transfers are taken, and the sender is never told. */
  lostSettlements: number;
  /** So many dispositions of receivers are applied, and the receiver is never told. */
  lostCompletions: number;
  /** So many transfers are answered by detaching the link; nothing of them is kept. */
  detachSends: number;
  /** Transfers and dispositions wait so long. */
  delayMs: number;
}

/** A link's address taken apart. */
export type Place =
  | { kind: 'queue'; queue: BrokerQueue }
  | { kind: 'hub'; hub: EventHub; partitionId: string | undefined }
  | { kind: 'management'; entity: BrokerQueue | undefined }
  | { kind: 'claims' };

const DEAD = '/$deadletterqueue';
const MANAGEMENT = '/$management';

/** The entities of one namespace. Names are compared without case, as the service does. */
export class Broker {
  readonly clock: Clock;
  readonly faults: ServiceBusFaults = {
    ...{ down: false, throttle: 0, lostSettlements: 0, lostCompletions: 0, detachSends: 0, delayMs: 0 },
  };
  readonly #queues = new Map<string, BrokerQueue>();
  readonly #hubs = new Map<string, EventHub>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  addQueue(name: string, settings: QueueSettings): void {
    this.#queues.set(name.toLowerCase(), new BrokerQueue(name, settings, this.clock));
  }

  addHub(name: string, settings: HubSettings): void {
    this.#hubs.set(name.toLowerCase(), new EventHub(name, settings, this.clock));
  }

  queue(name: string): BrokerQueue | undefined {
    const path = name.toLowerCase();
    return path.endsWith(DEAD) ? this.#queues.get(path.slice(0, -DEAD.length))?.dead : this.#queues.get(path);
  }

  hub(name: string): EventHub | undefined {
    return this.#hubs.get(name.toLowerCase());
  }

  /** Undefined when there is no such entity. */
  find(address: string): Place | undefined {
    const path = address
      .replace(/^[a-z]+:\/\/[^/]+\//i, '')
      .replace(/^\//, '')
      .toLowerCase();
    if (path === '$cbs') return { kind: 'claims' };
    if (path === '$management') return { kind: 'management', entity: undefined };
    if (path.endsWith(MANAGEMENT)) return { kind: 'management', entity: this.queue(path.slice(0, -MANAGEMENT.length)) };
    const queue = this.queue(path);
    if (queue) return { kind: 'queue', queue };
    const [name = '', ...rest] = path.split('/');
    const hub = this.hub(name);
    if (!hub) return undefined;
    const at = rest.indexOf('partitions');
    return { kind: 'hub', hub, partitionId: at < 0 ? undefined : rest[at + 1] };
  }

  /** One less of a counted fault; true when there was one. */
  takeFault(name: 'throttle' | 'lostSettlements' | 'lostCompletions' | 'detachSends'): boolean {
    if (this.faults[name] <= 0) return false;
    this.faults[name] -= 1;
    return true;
  }

  stop(): void {
    for (const queue of this.#queues.values()) queue.stop();
  }
}
