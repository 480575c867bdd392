import type { HeartbeatRecord } from '../contract/records.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { Counter, Gauge, type Registry } from '../platform/metrics.ts';
import { PLAIN_HEADER } from '../state/envelope.ts';
import type { ArchiveRecord, CallArchive } from '../state/outbox/ports.ts';

/** `dropped`: the archive was away for longer than the queue is long, and the oldest went. `refused`: the archive will never take it. */
const SYSTEM_METRICS_RESULTS = ['written', 'dropped', 'refused'] as const;
type Result = (typeof SYSTEM_METRICS_RESULTS)[number];

/** An hour of minutes. What a pool did a while ago is worth less than memory for calls. */
const QUEUE_LIMIT = 60;
const STOP_LIMIT_MS = 2_000;

export interface SystemMetricsOptions {
  archive: Pick<CallArchive, 'write'>;
  /** What the worker says of itself now. */
  heartbeat: () => HeartbeatRecord;
  /** `<namespace>.<name>`, as in analytics. */
  pool: string;
  periodMs: number;
  clock: Clock;
  log: Log;
  registry: Registry;
}

/**
 * Puts one record of the worker's figures into the archive's container `metrics` each period and at its end, for reports over weeks; alerts and
 * scaling read Prometheus. They belong to no call, so that no outbox holds them: best effort, in a queue of their own.
 */
export class SystemMetrics {
  readonly #options: SystemMetricsOptions;
  readonly #queue: ArchiveRecord[] = [];
  readonly #results: Counter<'result'>;
  readonly #waiting: Gauge;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #taken = 0;

  constructor(options: SystemMetricsOptions) {
    this.#options = options;
    const registers = [options.registry];
    this.#results = new Counter({
      name: 'rtvoice_system_metrics_records_total',
      help: 'Records of this worker’s figures for the archive by what became of them: written, dropped, refused.',
      labelNames: ['result'],
      registers,
    });
    for (const result of SYSTEM_METRICS_RESULTS) this.#results.inc({ result }, 0);
    this.#waiting = new Gauge({
      name: 'rtvoice_system_metrics_waiting',
      help: 'Records of this worker’s figures that wait for the archive.',
      registers,
    });
  }

  start(): void {
    this.#timer = this.#options.clock.every(this.#options.periodMs, () => void this.take());
  }

  /** Queues the figures of now, and writes what waits. Resolves when the archive has been asked; never rejects. */
  take(): Promise<void> {
    this.#queue.push(this.#record());
    if (this.#queue.length > QUEUE_LIMIT) {
      this.#queue.shift();
      this.#count('dropped');
    }
    this.#waiting.set(this.#queue.length);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** The last figures are written if the archive takes them at once. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    let over: Timer | undefined;
    const limit = new Promise<void>((resolve) => {
      over = this.#options.clock.after(STOP_LIMIT_MS, resolve);
    });
    await Promise.race([this.take(), limit]);
    over?.cancel();
  }

  async #write(): Promise<void> {
    for (let record = this.#queue[0]; record !== undefined; record = this.#queue[0]) {
      const outcome = await this.#options.archive.write(record);
      if (outcome.kind === 'later') return;
      if (outcome.kind === 'refused')
        this.#options.log.error({ reason: outcome.reason }, 'the archive refuses a record of system metrics');
      // The queue may have dropped it meanwhile.
      if (this.#queue[0] === record) this.#queue.shift();
      this.#count(outcome.kind === 'refused' ? 'refused' : 'written');
      this.#waiting.set(this.#queue.length);
    }
  }

  #record(): ArchiveRecord {
    const { clock, heartbeat, pool } = this.#options;
    const { incarnation, ...figures } = heartbeat();
    this.#taken += 1;
    return {
      // The same record has the same id however often it is written.
      ...{ id: `${incarnation}.${this.#taken}`, kind: 'metrics', callConnectionId: '', header: PLAIN_HEADER },
      body: { ...figures, incarnation, pool, atMs: clock.wallMs() },
    };
  }

  #count(result: Result): void {
    this.#results.inc({ result });
  }
}
