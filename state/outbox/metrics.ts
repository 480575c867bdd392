import { Counter, Gauge, Histogram, type Registry } from '../../platform/metrics.ts';

const WRITE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What the gauges read when they are scraped. */
export interface PendingSource {
  readonly pending: number;
  readonly oldestPendingSeconds: number;
}

export class ArchiveMetrics {
  readonly #write: Histogram;
  readonly #total: Counter<'result'>;
  readonly #lost: Counter;
  readonly #throttled: Counter;
  #source: PendingSource | undefined;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#write = new Histogram({
      name: 'rtvoice_archive_write_duration_seconds',
      help: 'One record from the outbox to confirmed by the archive: Cosmos DB, or the broker before it.',
      buckets: WRITE_BUCKETS,
      registers,
    });
    this.#total = new Counter({
      name: 'rtvoice_archive_total',
      help: 'Archive writes by result: ok, retry, quarantined.',
      labelNames: ['result'],
      registers,
    });
    this.#lost = new Counter({
      name: 'rtvoice_records_lost_total',
      help: 'Accepted records that are in no store any more. Pages.',
      registers,
    });
    this.#throttled = new Counter({
      name: 'rtvoice_cosmos_throttled_total',
      help: 'Requests that Cosmos DB answered with 429.',
      registers,
    });
    for (const result of ['ok', 'retry', 'quarantined']) this.#total.inc({ result }, 0);
    const read = (of: (source: PendingSource) => number) => (this.#source ? of(this.#source) : 0);
    new Gauge({
      name: 'rtvoice_archive_pending',
      help: 'Records of this worker that stand in the outbox and are not confirmed by the archive.',
      registers,
      collect() {
        this.set(read((source) => source.pending));
      },
    });
    new Gauge({
      name: 'rtvoice_archive_oldest_pending_seconds',
      help: 'Age of the oldest of them.',
      registers,
      collect() {
        this.set(read((source) => source.oldestPendingSeconds));
      },
    });
  }

  watch(source: PendingSource): void {
    this.#source = source;
  }

  written(seconds: number): void {
    this.#write.observe(seconds);
    this.#total.inc({ result: 'ok' });
  }

  retry(throttled: boolean): void {
    this.#total.inc({ result: 'retry' });
    if (throttled) this.throttled(1);
  }

  quarantined(): void {
    this.#total.inc({ result: 'quarantined' });
  }

  lost(count: number): void {
    if (count > 0) this.#lost.inc(count);
  }

  throttled(count: number): void {
    this.#throttled.inc(count);
  }
}
