import type { Connection, Container, EventContext } from 'rhea';

/** What rhea 3.0.5 keeps on a connection and does not declare. */
interface Beating {
  heartbeat_out?: NodeJS.Timeout;
  heartbeat_in?: NodeJS.Timeout;
  abort_idle?: NodeJS.Timeout;
  output(): void;
}

/**
 * Ends what a connection does by itself. A frame that is written after its socket is gone arms the heartbeat again, and each beat the next one:
 * the process would never end.
 */
export function silence(connection: Connection): void {
  const beating = connection as unknown as Beating;
  beating.output = () => undefined;
  for (const timer of [beating.heartbeat_out, beating.heartbeat_in, beating.abort_idle]) clearTimeout(timer);
}

/** Every connection that a container has met and that is not gone; each is silenced when its peer is. */
export function watchConnections(container: Container): ReadonlySet<Connection> {
  const connections = new Set<Connection>();
  container.on('connection_open', ({ connection }: EventContext) => connections.add(connection));
  container.on('disconnected', ({ connection }: EventContext) => {
    connections.delete(connection);
    silence(connection);
  });
  return connections;
}
