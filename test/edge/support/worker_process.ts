/**
 * A process with one worker on each address of RTVOICE_TEST_ADDRESSES (with commas), all on RTVOICE_TEST_PORT. A worker tells by every answer and by
 * every message of a WebSocket what it has received and which one it is.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const port = Number(process.env.RTVOICE_TEST_PORT);

for (const address of (process.env.RTVOICE_TEST_ADDRESSES ?? '').split(',')) {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method, url, headers } = request;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ address, method, url, headers, body }));
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, { url }) => {
    socket.send(`${address} ${url}`);
    socket.on('message', (message) => socket.send(`${address}: ${message}`));
  });
  server.listen(port, address);
  await once(server, 'listening');
}
process.send?.('ready');
// Whoever has started it is gone.
process.on('disconnect', () => process.exit(0));
