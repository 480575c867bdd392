import { Cluster, Command, type Redis } from 'ioredis';
import type { Clock } from '../../platform/clock.ts';
import type { Authentication } from './authentication.ts';
import type { Argument, ConnectionEvents, RedisConnection, RedisNode, ReplyForm, Sender } from './connection.ts';
import { setupFault } from './errors.ts';
import { type ConnectionParts, clusterOptions } from './options.ts';
import type { Script } from './script.ts';
import { Senders } from './senders.ts';
import { keySlot } from './slot.ts';
import { protocolOf, tlsFault } from './tls.ts';
import { within } from './within.ts';
import { Gathering } from './writes.ts';

export interface ClusterParts extends ConnectionParts {
  readonly clock: Clock;
  /** A breaker for a node that is met for the first time. */
  makeNode(name: string): RedisNode;
}

/**
 * The shards of a Redis Cluster. Which node a key belongs to is the library's table of slots; this keeps a breaker for each master in it, so that a shard
 * that is lost refuses its own keys at once and no others.
 */
export class ClusterConnection implements RedisConnection {
  readonly #cluster: Cluster;
  readonly #parts: ClusterParts;
  readonly #senders: Senders;
  readonly #events: ConnectionEvents;
  readonly #gathering = new Gathering();
  /** Connections by `host:port`, replicas included. */
  readonly #links = new Map<string, Redis>();
  /** Masters that own slots, by `host:port`. */
  #owners: ReadonlyMap<string, RedisNode> = new Map();
  #asking = false;
  #closed = false;

  constructor(parts: ClusterParts, auth: Authentication, events: ConnectionEvents) {
    this.#parts = parts;
    this.#events = events;
    this.#cluster = new Cluster([...parts.target.nodes], clusterOptions(parts));
    this.#senders = new Senders(this.#cluster, (method) => this.#sender(method));
    // Comes before the node connects, also for one that joins later: the library's own copy of the credentials is the oldest.
    this.#cluster.on('+node', (redis: Redis) => {
      auth.adopt(redis, { sentinels: false, returns: false });
      this.#watch(redis);
    });
    this.#cluster.on('refresh', () => this.#readSlots());
    this.#cluster.on('ready', () => {
      this.#readSlots();
      for (const node of this.nodes()) events.connected(node);
    });
    this.#cluster.on('close', () => this.#lose('every node is lost'));
    this.#cluster.on('node error', (error: Error) => void this.#report(error));
    this.#cluster.on('error', (error: Error) => void this.#report(error));
  }

  nodes(): readonly RedisNode[] {
    return [...this.#owners.values()];
  }

  nodeOf(key: string | undefined): RedisNode | undefined {
    if (key === undefined) return undefined;
    const owner = this.#cluster.slots[keySlot(key)]?.[0];
    return owner === undefined ? undefined : this.#owners.get(owner);
  }

  keyOf(name: string, args: readonly Argument[]): string | undefined {
    const key = new Command(name.toLowerCase(), [...args]).getKeys()[0];
    return key === undefined ? undefined : String(key);
  }

  script(script: Script, form: ReplyForm): Sender {
    return this.#senders.script(script, form);
  }

  command(name: string, form: ReplyForm): Sender {
    return this.#senders.command(name, form);
  }

  probe(node: RedisNode): Promise<unknown> | undefined {
    const link = this.#links.get(node.name);
    return link && this.#cluster.status === 'ready' ? this.#ask(link) : undefined;
  }

  toNode(node: RedisNode, name: string, args: readonly Argument[]): Promise<unknown> {
    const link = this.#links.get(node.name);
    if (!link) return Promise.reject(new Error('the node is not connected'));
    return this.#limited(link.call(name, [...args]));
  }

  /** The library reads the slots when a node says MOVED; nobody says it for a node that is lost. */
  refresh(): void {
    if (this.#cluster.status === 'ready' && this.#missing()) this.#cluster.refreshSlotsCache();
  }

  protocols(): readonly string[] {
    return [...this.#links.values()].filter(({ status }) => status === 'ready').map(({ stream }) => protocolOf(stream));
  }

  connect(): void {
    this.#cluster.connect().catch((error) => this.#report(error));
  }

  close(): void {
    this.#closed = true;
    this.#cluster.disconnect();
  }

  #sender(method: (...args: Argument[]) => Promise<unknown>): Sender {
    return (args, key) => {
      const owner = this.nodeOf(key);
      if (owner) this.#gathering.hold(this.#links.get(owner.name)?.stream);
      return this.#limited(method(...args));
    };
  }

  /** Also asks whether the node sees its cluster as whole: when it does not, it refuses every key. */
  async #ask(redis: Redis): Promise<void> {
    const info = await this.#limited(redis.cluster('INFO'));
    if (String(info).includes('cluster_state:fail')) throw new Error('cluster_state:fail');
  }

  #limited<T>(promise: Promise<T>): Promise<T> {
    return within(this.#parts.clock, this.#parts.limits.commandTimeoutMs, promise);
  }

  #watch(redis: Redis): void {
    // As the library's table of slots names it.
    const name = `${redis.options.host}:${redis.options.port}`;
    this.#links.set(name, redis);
    let served = false;
    redis.on('ready', () => {
      served = true;
      const owner = this.#owners.get(name);
      if (owner) this.#events.connected(owner);
    });
    redis.on('close', () => this.#owners.get(name)?.breaker.failed('connection closed'));
    redis.on('end', () => {
      if (this.#links.get(name) === redis) this.#links.delete(name);
      // At once, since a failover may be over already; one that never came up waits for the next round.
      if (served && this.#owners.has(name)) this.refresh();
    });
  }

  /** The library's connections that read the slots keep to themselves what TLS failed on: a handshake of our own tells it. */
  async #report(error: Error): Promise<void> {
    const { target, tls, limits } = this.#parts;
    if (!tls || setupFault(error)) return this.#events.fault(error);
    if (this.#asking) return;
    this.#asking = true;
    const fault = await tlsFault(target.nodes[0], tls, limits.connectTimeoutMs);
    this.#asking = false;
    if (!this.#closed) this.#events.fault(fault ?? error);
  }

  #missing(): boolean {
    return this.nodes().some(({ name, breaker }) => breaker.state !== 'closed' || !this.#links.has(name));
  }

  #readSlots(): void {
    const names = new Set<string>();
    for (const keys of this.#cluster.slots) if (keys?.[0] !== undefined) names.add(keys[0]);
    const before = this.#owners;
    const after = new Map([...names].map((name) => [name, before.get(name) ?? this.#parts.makeNode(name)] as const));
    this.#owners = after;
    if (after.size !== before.size || [...after.keys()].some((name) => !before.has(name))) this.#events.changed();
    // A connection that was lost has just been made anew, and connects with the first command.
    for (const node of after.values())
      if (!node.proven || node.breaker.state !== 'closed') this.#events.connected(node);
  }

  #lose(reason: string): void {
    for (const { breaker } of this.#owners.values()) breaker.failed(reason);
  }
}
