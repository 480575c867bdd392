import { Agent, request } from 'undici';
import type { HeartbeatRecord } from '../../contract/records.ts';
import { INTERNAL } from '../../contract/urls.ts';
import type { Clock } from '../../platform/clock.ts';
import { defineError } from '../../platform/errors.ts';
import { experienceOf, parseScrape, type Scrape, type WorkerFigures } from './telemetry_parse.ts';

export const SCRAPE_FAILED = defineError('ERR_SCRAPE_FAILED', {
  status: 502,
  message: 'the metrics of a worker could not be read',
  remedy: 'See the log of that worker; while figures are missing nothing is scaled down.',
});

export interface TelemetryTarget {
  readonly worker: string;
  /** Undefined when only the worker itself can tell. */
  readonly incarnation: string | undefined;
  readonly endpoint: string;
  /** Its figures decide whether it is deleted: how old they are must be known, not supposed. */
  readonly exactAge?: boolean;
}

export interface Observation {
  readonly figures: WorkerFigures;
  readonly incarnation: string;
  readonly source: 'metrics' | 'heartbeat';
  /** This process's monotonic clock when the request was sent: nothing older is in it. */
  readonly observedAtMs: number;
}

export interface TelemetryOptions {
  readonly clock: Clock;
  /** Sent as the bearer token of the internal listener. */
  readonly internalKey: string;
  /** Whose figures were read, where the runtime does not know. */
  readonly onIncarnation?: (worker: string, incarnation: string) => void;
  /** The fallback when a scrape fails. */
  readonly heartbeat: (worker: string) => Promise<HeartbeatRecord | undefined>;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 800;
const MAX_BODY_BYTES = 1024 * 1024;

/** The newest figures of each worker. Reading never waits: a frozen worker must not hold the reconcile loop. */
export class Telemetry {
  readonly #options: TelemetryOptions;
  readonly #agent: Agent;
  readonly #newest = new Map<string, Observation>();
  readonly #running = new Set<string>();

  constructor(options: TelemetryOptions) {
    this.#options = options;
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#agent = new Agent({
      connect: { timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxResponseSize: MAX_BODY_BYTES,
    });
  }

  /** The newest observation of this very incarnation. */
  of(worker: string, incarnation: string | undefined): Observation | undefined {
    const newest = this.#newest.get(worker);
    return newest?.incarnation === incarnation ? newest : undefined;
  }

  /** Reads all targets at once, each bounded in time; one that is still being read is left out. Forgets workers that are no longer targets. */
  async refresh(targets: readonly TelemetryTarget[]): Promise<void> {
    const wanted = new Set(targets.map(({ worker }) => worker));
    for (const worker of this.#newest.keys()) if (!wanted.has(worker)) this.#newest.delete(worker);
    await Promise.all(targets.filter(({ worker }) => !this.#running.has(worker)).map((target) => this.#read(target)));
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  async #read(target: TelemetryTarget): Promise<void> {
    this.#running.add(target.worker);
    const observedAtMs = this.#options.clock.monotonicMs();
    try {
      const { figures, incarnation = target.incarnation } = await this.#scrape(target);
      if (!this.#isOf(target, incarnation)) return;
      this.#newest.set(target.worker, { figures, incarnation, source: 'metrics', observedAtMs });
    } catch {
      // Not lost: without a heartbeat either the figures grow stale, which freezes scale-down and shows in the status.
      await this.#fallBack(target);
    } finally {
      this.#running.delete(target.worker);
    }
  }

  async #scrape(target: TelemetryTarget): Promise<Scrape> {
    const response = await request(target.endpoint + INTERNAL.metrics, {
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${this.#options.internalKey}` },
      signal: AbortSignal.timeout(this.#options.timeoutMs ?? TIMEOUT_MS),
    });
    const text = await response.body.text();
    const scrape = response.statusCode === 200 ? parseScrape(text) : undefined;
    if (!scrape) throw SCRAPE_FAILED.with(`${target.worker}, status ${response.statusCode}`);
    return scrape;
  }

  /** Another process under the same address is another worker. The runtime is told whose figures came, where it did not know. */
  #isOf(target: TelemetryTarget, incarnation: string | undefined): incarnation is string {
    if (incarnation === undefined) return false;
    if (target.incarnation === undefined) this.#options.onIncarnation?.(target.worker, incarnation);
    return target.incarnation === undefined || target.incarnation === incarnation;
  }

  async #fallBack(target: TelemetryTarget): Promise<void> {
    const askedAtMs = this.#options.clock.monotonicMs();
    const beat = await this.#options.heartbeat(target.worker).catch(() => undefined);
    if (!beat || !this.#isOf(target, beat.incarnation)) return;
    const observation: Observation = {
      figures: figuresOf(beat),
      incarnation: beat.incarnation,
      source: 'heartbeat',
      // A heartbeat in Redis may be as old as its TTL.
      observedAtMs: askedAtMs - HEARTBEAT_TTL_MS,
    };
    const newest = this.of(target.worker, beat.incarnation);
    if (!newest || newest.observedAtMs < observation.observedAtMs) this.#newest.set(target.worker, observation);
  }
}

/** Of a heartbeat in Redis; none is older. */
export const HEARTBEAT_TTL_MS = 5_000;

/** The figures as a heartbeat tells them. */
export function figuresOf(beat: HeartbeatRecord): WorkerFigures {
  return {
    activeCalls: beat.activeCalls,
    callCapacity: beat.admits ? beat.slots : 0,
    memoryBytes: beat.memoryBytes,
    memoryBaselineBytes: beat.memoryBaselineBytes,
    memoryLimitBytes: beat.memoryLimitBytes,
    relayedSockets: beat.relayedSockets,
    unsentRecords: beat.unsentRecords,
    oldestCallSeconds: beat.oldestCallSeconds,
    meanCallAgeSeconds: beat.meanCallAgeSeconds,
    experience: experienceOf(beat.experience),
  };
}
