import { Counter, Gauge, type Registry } from '../../platform/metrics.ts';

interface SpoolFigures {
  readonly records: number;
  readonly bytes: number;
}

/** The spool's series; zero from the start, so that an alert on them works before the first record. */
export class SpoolMetrics {
  readonly #kept: Counter;
  readonly #brought: Counter<'result'>;
  readonly #errors: Counter<'code'>;
  readonly #sources = new Set<SpoolFigures>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.#kept = new Counter({
      name: 'rtvoice_spool_records_total',
      help: 'Records that were written to the local spool because Redis was away.',
      registers,
    });
    this.#brought = new Counter({
      name: 'rtvoice_spool_brought_total',
      help: 'Records of an earlier process that were brought from its spool to Redis: new there, or known already.',
      labelNames: ['result'],
      registers,
    });
    this.#errors = new Counter({
      name: 'rtvoice_spool_errors_total',
      help: 'Failed writes of the local spool, by error code.',
      labelNames: ['code'],
      registers,
    });
    for (const result of ['new', 'known']) this.#brought.inc({ result }, 0);
    for (const code of ['ERR_SPOOL_FULL', 'ERR_SPOOL_FAILED']) this.#errors.inc({ code }, 0);
    const sources = this.#sources;
    const gauge = (name: string, help: string, read: (source: SpoolFigures) => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set([...sources].reduce((sum, source) => sum + read(source), 0));
        },
      });
    gauge('rtvoice_spool_pending', 'Records that stand in the local spool alone.', ({ records }) => records);
    gauge('rtvoice_spool_bytes', 'Size of the local spool.', ({ bytes }) => bytes);
  }

  watch(source: SpoolFigures): void {
    this.#sources.add(source);
  }

  unwatch(source: SpoolFigures): void {
    this.#sources.delete(source);
  }

  kept(count: number): void {
    this.#kept.inc(count);
  }

  brought(result: 'new' | 'known', count: number): void {
    this.#brought.inc({ result }, count);
  }

  failed(code: string): void {
    this.#errors.inc({ code });
  }
}
