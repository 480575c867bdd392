import type { Breaker } from './breaker.ts';
import type { Script } from './script.ts';

export type Argument = string | number | Buffer;

/** One server that holds data: the only one, or a shard's master. */
export interface RedisNode {
  /** `host:port`, or for a server that Sentinels name the name of the master. */
  readonly name: string;
  readonly breaker: Breaker;
  /** False until it has answered once since it was met; a node that is new to a cluster serves before that. */
  proven: boolean;
}

/** A command or script that is ready to be called; `key` is the one that routes it. */
export type Sender = (args: readonly Argument[], key: string | undefined) => Promise<unknown>;
/** Texts of a reply as strings or as Buffers. */
export type ReplyForm = 'text' | 'buffer';

export interface ConnectionEvents {
  /** The connection is up or a node was met: the time to probe it. */
  connected(node: RedisNode): void;
  /** The set of nodes has changed. */
  changed(): void;
  /** What the library reports by itself: a refused connection, a failed handshake. */
  fault(error: Error): void;
}

/** What the client needs of Redis, whatever form it has. Nothing is resent once it may have reached a server. */
export interface RedisConnection {
  /** Nodes that hold data now. */
  nodes(): readonly RedisNode[];
  /** The node that serves `key`; without a key any. Undefined while no node is known. */
  nodeOf(key: string | undefined): RedisNode | undefined;
  /** The key that decides where a command goes; always undefined where there is one node only. */
  keyOf(name: string, args: readonly Argument[]): string | undefined;
  script(script: Script, form: ReplyForm): Sender;
  command(name: string, form: ReplyForm): Sender;
  /** Asks one node whether it serves. Undefined while it cannot even be asked. */
  probe(node: RedisNode): Promise<unknown> | undefined;
  /** One command to one node, past routing. */
  toNode(node: RedisNode, name: string, args: readonly Argument[]): Promise<unknown>;
  /** Called once a second, and twice a second while a node is missing. */
  refresh(): void;
  /** TLS version of each connection that is up; `none` without TLS. */
  protocols(): readonly string[];
  connect(): void;
  close(): void;
}
