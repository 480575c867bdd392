import { once } from 'node:events';
import { createServer } from 'node:net';

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Arguments of local mode's own redis-server: kept on disk once a second, nothing evicted, reachable from this machine only. */
export function redisArguments(port: number, directory: string): string[] {
  return [
    ['--port', String(port)],
    ['--bind', '127.0.0.1'],
    ['--dir', directory],
    ['--save', ''],
    ['--appendonly', 'yes'],
    ['--appendfsync', 'everysec'],
    ['--maxmemory', '256mb'],
    ['--maxmemory-policy', 'noeviction'],
    ['--daemonize', 'no'],
  ].flat();
}
