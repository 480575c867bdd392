import { Gauge, type Registry } from '../../platform/metrics.ts';

/** The figures that scaling is decided by, computed when they are read. */
export function registerGauges(
  registry: Registry,
  figures: {
    activeCalls(): number;
    /** Slots while the worker admits calls, else 0. */
    capacity(): number;
    draining(): boolean;
    unsentRecords(): number;
    /** 0 without calls. */
    oldestCallSeconds(): number;
    meanCallAgeSeconds(): number;
    incarnation: string;
  },
): void {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  gauge('rtvoice_active_calls', 'Calls that hold a slot here.', figures.activeCalls);
  gauge('rtvoice_call_capacity', 'Slots of this worker; 0 while it takes no new calls.', figures.capacity);
  gauge('rtvoice_draining', '1 while the worker is being emptied.', () => Number(figures.draining()));
  gauge('rtvoice_oldest_call_seconds', 'Age of the oldest call here; 0 without calls.', figures.oldestCallSeconds);
  gauge('rtvoice_mean_call_age_seconds', 'Mean age of the calls here; 0 without calls.', figures.meanCallAgeSeconds);
  // One series per process start: whose figures these are.
  new Gauge({
    name: 'rtvoice_worker_info',
    help: 'Always 1; the label names the incarnation of this process.',
    labelNames: ['incarnation'] as const,
    registers: [registry],
  }).set({ incarnation: figures.incarnation }, 1);
  gauge('rtvoice_unsent_records', 'Records that Cosmos DB has not confirmed.', figures.unsentRecords);
}
