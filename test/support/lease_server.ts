import { KubeClient } from '../../controller/kube/client.ts';
import { LeaderElector, type LeaderElectorOptions } from '../../controller/kube/leader.ts';
import { createKubeMetrics } from '../../controller/kube/metrics.ts';
import type { Lease } from '../../controller/kube/objects.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { Arrivals, captureLog, type Exchange, plainEndpoint, RigClock, ScriptedApi } from './scripted_api.ts';

/** What becomes of a request: `lost` before it is read, `unanswered` after it has been done. */
export type Fate = 'served' | 'lost' | 'unanswered' | 'hangs' | 'refused';

/** One Lease with the API server's rule: a write with an old version is a conflict. */
export class LeaseServer implements AsyncDisposable {
  readonly api: ScriptedApi;
  /** Of the next requests; asked once for each, with who asks. */
  fate: (identity: string, method: string) => Fate = () => 'served';
  readonly held: Exchange[] = [];
  lease: Lease | undefined;
  #version = 0;

  private constructor(api: ScriptedApi) {
    this.api = api;
    api.serve((exchange) => this.#receive(exchange));
  }

  static async start(): Promise<LeaseServer> {
    return new LeaseServer(await ScriptedApi.start());
  }

  /** As somebody else's write. */
  write(spec: NonNullable<Lease['spec']>): void {
    const metadata = { name: 'lead', namespace: 'system', resourceVersion: String(++this.#version) };
    this.lease = { metadata, spec: { ...this.lease?.spec, ...spec } };
  }

  /** Answers what hung. */
  release(): void {
    for (const exchange of this.held.splice(0)) this.#serve(exchange);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api[Symbol.asyncDispose]();
  }

  #receive(exchange: Exchange): void {
    const identity = String(exchange.headers['user-agent']);
    const fate = this.fate(identity, exchange.method);
    if (fate === 'unanswered') this.#do(exchange);
    if (fate === 'served') this.#serve(exchange);
    else if (fate === 'refused') exchange.refuse(500, 'InternalError');
    else if (fate === 'hangs') this.held.push(exchange);
    else exchange.reset();
  }

  #serve(exchange: Exchange): void {
    const { status, body } = this.#do(exchange);
    if (body) exchange.json(status, body);
    else exchange.refuse(status, status === 404 ? 'NotFound' : 'Conflict');
  }

  #do({ method, body }: Exchange): { status: number; body?: Lease } {
    const sent = body as Lease | undefined;
    if (method === 'GET') return this.lease ? { status: 200, body: this.lease } : { status: 404 };
    if (method === 'POST' && this.lease) return { status: 409 };
    if (method === 'PUT' && !this.lease) return { status: 404 };
    if (method === 'PUT' && this.lease?.metadata.resourceVersion !== sent?.metadata.resourceVersion)
      return { status: 409 };
    const metadata = { name: 'lead', namespace: 'system', resourceVersion: String(++this.#version) };
    this.lease = { metadata, ...(sent?.spec ? { spec: sent.spec } : {}) };
    return { status: 200, body: this.lease };
  }
}

/** Half of the spread: one that does not lead tries every 1.4 s, a leader every 2 s. */
export const FOLLOWER_MS = 1_400;
export const LEADER_MS = 2_000;

/** A candidate with a clock of its own. `events`: `lead <number>` and `stop <reason>`. */
export function candidate(
  server: LeaseServer,
  identity: string,
  {
    clock = new RigClock(),
    ...options
  }: { clock?: RigClock } & Partial<Pick<LeaderElectorOptions, 'onStarted' | 'onStopped' | 'random'>> = {},
) {
  const registry = createRegistry({ processMetrics: false });
  const metrics = createKubeMetrics(registry);
  const { log, warnings } = captureLog();
  const events = new Arrivals<string>('event of the election');
  const client = new KubeClient({ endpoint: plainEndpoint(server.api.url), clock, log, metrics, userAgent: identity });
  const elector = new LeaderElector({
    ...{ client, namespace: 'system', name: 'lead', identity, clock, log, metrics },
    random: options.random ?? { fraction: () => 0.5, id: () => 'x' },
    onStarted: (term) => {
      events.push(`lead ${term.leaseTransitions}`);
      options.onStarted?.(term);
    },
    onStopped: async (reason) => {
      events.push(`stop ${reason}`);
      await options.onStopped?.(reason);
    },
  });
  return { identity, clock, client, elector, events, warnings, registry };
}

export type Candidate = ReturnType<typeof candidate>;
