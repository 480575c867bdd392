import type { LeaseTable, Pulse } from '../../state/ports.ts';
import type { FigureSource } from './figure_reader.ts';
import { type Observation, Telemetry, type TelemetryOptions, type TelemetryTarget } from './telemetry.ts';

/** The figures that workers tell over HTTP, with the pulse of their pool. */
export class ScrapedSource implements FigureSource {
  readonly #leases: Pick<LeaseTable, 'vitals'>;
  readonly #telemetry: Telemetry;

  constructor(
    options: Omit<TelemetryOptions, 'heartbeat'> & { readonly leases: Pick<LeaseTable, 'vitals' | 'heartbeat'> },
  ) {
    const { leases } = options;
    this.#leases = leases;
    this.#telemetry = new Telemetry({ ...options, heartbeat: (worker) => leases.heartbeat(worker) });
  }

  of(worker: string, incarnation: string | undefined): Observation | undefined {
    return this.#telemetry.of(worker, incarnation);
  }

  async refresh(targets: readonly TelemetryTarget[]): Promise<Pulse | undefined> {
    const pulse = this.#leases.vitals([]).then(
      (vitals) => vitals.pulse,
      () => undefined,
    );
    await this.#telemetry.refresh(targets);
    return pulse;
  }

  close(): Promise<void> {
    return this.#telemetry.close();
  }
}
