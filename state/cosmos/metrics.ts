import { Counter, Histogram, type Registry } from '../../platform/metrics.ts';
import { CONTAINER_SPECS, type ContainerName } from './containers.ts';
import { COSMOS_OPERATIONS, type CosmosObserver, type CosmosOperation } from './requests.ts';

const REQUEST_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What Cosmos DB costs, by container and operation: both label sets are closed. */
export class CosmosMetrics implements CosmosObserver {
  readonly #units: Counter<'container' | 'operation'>;
  readonly #duration: Histogram<'container' | 'operation'>;

  constructor(registry: Registry) {
    const labelNames = ['container', 'operation'] as const;
    const registers = [registry];
    this.#units = new Counter({
      name: 'rtvoice_cosmos_request_units_total',
      help: 'Request units that Cosmos DB has charged.',
      labelNames,
      registers,
    });
    this.#duration = new Histogram({
      name: 'rtvoice_cosmos_request_duration_seconds',
      help: 'One request to Cosmos DB.',
      buckets: REQUEST_BUCKETS,
      labelNames,
      registers,
    });
    for (const { id } of CONTAINER_SPECS)
      for (const operation of COSMOS_OPERATIONS) this.#units.inc({ container: id, operation }, 0);
  }

  request(
    container: ContainerName,
    operation: CosmosOperation,
    { requestUnits, seconds }: { requestUnits: number; seconds: number },
  ): void {
    this.#units.inc({ container, operation }, requestUnits);
    this.#duration.observe({ container, operation }, seconds);
  }
}
