import { isIP } from 'node:net';
import { type ConnectionOptions, connect, TLSSocket } from 'node:tls';
import type { RedisTarget } from './target.ts';

/** Options towards `rediss://`: TLS 1.3 or nothing. `ca`: PEM of the authority that signed the servers' certificates; the usual ones without it. */
export function tlsOptions(target: RedisTarget, ca: string | undefined): ConnectionOptions | undefined {
  if (!target.tls) return undefined;
  const [{ host }] = target.nodes;
  return {
    minVersion: 'TLSv1.3',
    ...(ca === undefined ? {} : { ca }),
    // The nodes of a cluster name themselves by address, while their certificate is that of the host name.
    ...(target.mode === 'Cluster' && isIP(host) === 0 ? { servername: host } : {}),
  };
}

/** What a handshake with the server fails on; undefined when it succeeds, or when there is no answer within the limit. */
export function tlsFault(
  address: { readonly host: string; readonly port: number },
  options: ConnectionOptions,
  timeoutMs: number,
): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ ...options, ...address });
    const end = (fault: Error | undefined) => {
      socket.destroy();
      resolve(fault);
    };
    socket.once('error', end);
    socket.once('secureConnect', () => end(undefined));
    socket.setTimeout(timeoutMs, () => end(undefined));
  });
}

export function protocolOf(stream: unknown): string {
  return stream instanceof TLSSocket ? (stream.getProtocol() ?? 'none') : 'none';
}
