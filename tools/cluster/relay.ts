import { connect, createServer, type NetConnectOpts, type Server } from 'node:net';

/** A server that passes each connection on to `target`, byte by byte. */
export function relay(target: NetConnectOpts): Server {
  return createServer((socket) => {
    const other = connect(target);
    socket.pipe(other).pipe(socket);
    for (const end of [socket, other]) {
      // The other side learns of it by the end that follows.
      end.on('error', () => undefined);
      end.on('close', () => {
        socket.destroy();
        other.destroy();
      });
    }
  });
}
