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
  gauge('rtvoice_unsent_records', 'Records that Cosmos DB has not confirmed.', figures.unsentRecords);
}
