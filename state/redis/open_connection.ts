import type { Clock } from '../../platform/clock.ts';
import type { Authentication } from './authentication.ts';
import { ClusterConnection } from './cluster_connection.ts';
import type { ConnectionEvents, RedisConnection, RedisNode } from './connection.ts';
import type { ConnectionParts } from './options.ts';
import { SingleConnection } from './single_connection.ts';
import { addressText } from './target.ts';

/** The connection that a target's mode needs; it does not connect yet. `makeNode` gives a breaker to each server that holds data. */
export function openConnection(
  parts: ConnectionParts & { clock: Clock; makeNode(name: string): RedisNode },
  auth: Authentication,
  events: ConnectionEvents,
): RedisConnection {
  const { target } = parts;
  if (target.mode === 'Cluster') return new ClusterConnection(parts, auth, events);
  const name = target.mode === 'Sentinel' ? (target.master ?? '') : addressText(target.nodes[0]);
  return new SingleConnection(parts, parts.makeNode(name), auth, events);
}
