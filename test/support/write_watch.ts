import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** Kinds whose writes change nothing of what a controller does. */
const BESIDE = /\/(leases|events)(\/|\?|$)/;

/**
 * Stands between a controller and the API server and tells of each write that the server has taken, before the controller hears of it: whoever ends
 * the controller then leaves it with a write of which it never knew.
 */
export class WriteWatch implements AsyncDisposable {
  readonly #server: Server;
  readonly #agent: Agent;

  private constructor(server: Server, agent: Agent) {
    this.#server = server;
    this.#agent = agent;
  }

  static async start(options: {
    url: string;
    caFile: string;
    /** Folder with the certificate of the API server, which this shows as well. */
    pkiFolder: string;
    onWrite: (request: string) => void;
  }): Promise<WriteWatch> {
    const { hostname: host, port } = new URL(options.url);
    const agent = new Agent({ keepAlive: true, ca: readFileSync(options.caFile) });
    const pem = (name: string) => readFileSync(join(options.pkiFolder, name));
    const tls = { cert: pem('apiserver.crt'), key: pem('apiserver.key') };
    const server = createServer(tls, (incoming, outgoing) => {
      const { method = 'GET', url = '/', headers } = incoming;
      const forwarded = request({ host, port, agent, method, path: url, headers: { ...headers, host } }, (answer) => {
        const { statusCode = 502 } = answer;
        const isWrite = method !== 'GET' && statusCode < 300 && !BESIDE.test(url);
        if (isWrite) options.onWrite(`${method} ${url}`);
        outgoing.writeHead(statusCode, answer.headers);
        answer.pipe(outgoing);
      });
      // A controller that was ended leaves watches behind.
      outgoing.on('close', () => forwarded.destroy());
      forwarded.on('error', () => outgoing.destroy());
      incoming.pipe(forwarded);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new WriteWatch(server, agent);
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }
}
