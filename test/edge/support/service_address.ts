import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** The one address of a ClusterIP Service: each new connection goes to the next endpoint, whether that one lives or not. */
export class ServiceAddress implements AsyncDisposable {
  /** Addresses in turn. */
  endpoints: readonly string[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #port: number;
  #turn = 0;

  private constructor(server: Server, port: number, endpoints: readonly string[]) {
    this.#server = server;
    this.#port = port;
    this.endpoints = endpoints;
    server.on('connection', (client) => this.#join(client));
  }

  static async start(address: string, port: number, endpoints: readonly string[]): Promise<ServiceAddress> {
    const server = createServer({ noDelay: true });
    server.listen(port, address);
    await once(server, 'listening');
    return new ServiceAddress(server, port, endpoints);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket): void {
    const endpoint = this.endpoints[this.#turn++ % this.endpoints.length];
    if (endpoint === undefined) return void client.resetAndDestroy();
    const worker = connect({ host: endpoint, port: this.#port, noDelay: true });
    for (const socket of [client, worker]) {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    }
    worker.on('error', () => client.resetAndDestroy());
    client.on('error', () => worker.destroy());
    client.on('close', () => worker.destroy());
    worker.on('close', () => client.destroy());
    client.pipe(worker).pipe(client);
  }
}
