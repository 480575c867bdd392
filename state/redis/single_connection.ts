import { Redis } from 'ioredis';
import type { Clock } from '../../platform/clock.ts';
import type { Authentication } from './authentication.ts';
import type { Argument, ConnectionEvents, RedisConnection, RedisNode, ReplyForm, Sender } from './connection.ts';
import { type ConnectionParts, retryDelayMs, singleOptions } from './options.ts';
import type { Script } from './script.ts';
import { Senders } from './senders.ts';
import { protocolOf } from './tls.ts';
import { Gathering } from './writes.ts';

export interface SingleParts extends ConnectionParts {
  readonly clock: Clock;
}

/** One connection: to a server, to the proxy before shards, or to the master that Sentinels name. */
export class SingleConnection implements RedisConnection {
  readonly #redis: Redis;
  readonly #nodes: readonly [RedisNode];
  readonly #senders: Senders;
  readonly #gathering = new Gathering();
  readonly #events: ConnectionEvents;
  readonly #parts: SingleParts;
  #attempts = 0;
  #closed = false;

  constructor(parts: SingleParts, node: RedisNode, auth: Authentication, events: ConnectionEvents) {
    this.#nodes = [node];
    this.#parts = parts;
    this.#events = events;
    this.#redis = new Redis(singleOptions(parts));
    this.#senders = new Senders(this.#redis, (method) => this.#sender(method));
    auth.adopt(this.#redis, { sentinels: parts.target.sentinelAuth, returns: true });
    this.#redis.on('ready', () => {
      this.#attempts = 0;
      events.connected(node);
    });
    this.#redis.on('end', () => this.#comeBack());
    this.#redis.on('close', () => node.breaker.failed('connection closed'));
    this.#redis.on('error', (error) => events.fault(error));
  }

  nodes(): readonly RedisNode[] {
    return this.#nodes;
  }

  nodeOf(): RedisNode {
    return this.#nodes[0];
  }

  keyOf(): undefined {
    return undefined;
  }

  script(script: Script, form: ReplyForm): Sender {
    return this.#senders.script(script, form);
  }

  command(name: string, form: ReplyForm): Sender {
    return this.#senders.command(name, form);
  }

  probe(): Promise<unknown> | undefined {
    return this.#redis.status === 'ready' ? this.#redis.ping() : undefined;
  }

  toNode(_node: RedisNode, name: string, args: readonly Argument[]): Promise<unknown> {
    return this.command(name, 'text')(args, undefined);
  }

  refresh(): void {
    // One server: reconnecting is the library's.
  }

  protocols(): readonly string[] {
    return this.#redis.status === 'ready' ? [protocolOf(this.#redis.stream)] : [];
  }

  connect(): void {
    this.#redis.connect().catch((error) => this.#events.fault(error));
  }

  close(): void {
    this.#closed = true;
    this.#redis.disconnect();
  }

  /** The library ends a connection for good when Sentinels tell of a failover while it is asking them for the master. */
  #comeBack(): void {
    if (this.#closed) return;
    const { clock, random } = this.#parts;
    clock.after(retryDelayMs(++this.#attempts, random), () => {
      if (!this.#closed) this.connect();
    });
  }

  #sender(method: (...args: Argument[]) => Promise<unknown>): Sender {
    return (args) => {
      this.#gathering.hold(this.#redis.stream);
      return method(...args);
    };
  }
}
