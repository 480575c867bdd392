import { randomInt } from 'node:crypto';
import { freePort } from '../../../platform/free_port.ts';
import { NameServer } from './dns.ts';
import { Edge } from './edge.ts';
import { ServiceAddress } from './service_address.ts';
import { Workers } from './workers.ts';

export const DOMAIN = 'svc.cluster.local';
export const NS = 'calls';
export const POOL = 'desk';
export const TOKEN = 'secret-token-of-the-call';

export const eventsPath = (worker: string, pool = POOL, ns = NS): string =>
  `/w/${ns}/${pool}/${worker}/c/callref00001/events?t=${TOKEN}`;
export const mediaPath = (worker: string, pool = POOL, ns = NS): string =>
  `/w/${ns}/${pool}/${worker}/c/callref00001/media?t=${TOKEN}`;
export const ringPath = (pool = POOL, ns = NS): string => `/p/${ns}/${pool}/events`;
export const workerName = (worker: string, pool = POOL, ns = NS): string => `${worker}.${pool}-calls.${ns}.${DOMAIN}`;

/** An edge, its name server, and pools with workers behind it. */
export class World implements AsyncDisposable {
  readonly dns: NameServer;
  readonly edge: Edge;
  readonly workerPort: number;
  readonly #owned: AsyncDisposable[] = [];
  /** A part of the loopback network of this world alone, so that all workers can have the same port. */
  readonly #network = `127.${randomInt(10, 250)}`;
  #next = 0;

  private constructor(dns: NameServer, edge: Edge, workerPort: number) {
    this.dns = dns;
    this.edge = edge;
    this.workerPort = workerPort;
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<World> {
    const [dns, workerPort] = [await NameServer.start(), await freePort()];
    const all = { EDGE_DNS: dns.address, EDGE_WORKER_PORT: `${workerPort}`, EDGE_DOMAIN: DOMAIN, ...env };
    try {
      const world = new World(dns, await Edge.start(all), workerPort);
      world.#owned.push(dns, world.edge);
      return world;
    } catch (error) {
      await dns[Symbol.asyncDispose]();
      throw error;
    }
  }

  addresses(count: number): string[] {
    return Array.from({ length: count }, () => {
      const at = ++this.#next;
      return `${this.#network}.${Math.floor(at / 200)}.${(at % 200) + 1}`;
    });
  }

  /** One process with these workers, each with its name. */
  async workers(names: readonly string[], pool = POOL): Promise<Workers> {
    const workers = await Workers.start(this.addresses(names.length), this.workerPort);
    this.#owned.push(workers);
    for (const [index, name] of names.entries()) {
      this.dns.set(workerName(name, pool), [workers.addresses[index] ?? '']);
    }
    return workers;
  }

  /** The Service of a pool, over these addresses. */
  async service(endpoints: readonly string[], pool = POOL): Promise<ServiceAddress> {
    const [address = ''] = this.addresses(1);
    const service = await ServiceAddress.start(address, this.workerPort, endpoints);
    this.#owned.push(service);
    this.dns.set(`${pool}.${NS}.${DOMAIN}`, [address]);
    return service;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#owned.reverse()) await part[Symbol.asyncDispose]();
  }
}

export async function withWorld(
  env: Readonly<Record<string, string>>,
  body: (world: World) => Promise<void>,
): Promise<void> {
  const world = await World.start(env);
  try {
    await body(world);
  } finally {
    await world[Symbol.asyncDispose]();
  }
}
