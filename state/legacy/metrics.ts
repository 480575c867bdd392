import { Counter, type Registry } from '../../platform/metrics.ts';
import { GENERATIONS, type Generation } from './payload.ts';

/** How the move of one call or conversation ended. */
export const MIGRATION_RESULTS = ['migrated', 'partial', 'exists', 'continued', 'unreadable'] as const;
export type MigrationResult = (typeof MIGRATION_RESULTS)[number];

/** One for each process. */
export class LegacyMetrics {
  readonly #migrations: Counter<'generation' | 'result'>;
  readonly #retired: Counter;

  constructor(registry: Registry) {
    this.#migrations = new Counter({
      name: 'rtvoice_legacy_migrations_total',
      help: 'Calls and conversations found under the older flat keys, by shape of the data and by what became of them.',
      labelNames: ['generation', 'result'],
      registers: [registry],
    });
    for (const generation of GENERATIONS) this.#migrations.inc({ generation, result: 'migrated' }, 0);
    this.#migrations.inc({ generation: 'unknown', result: 'unreadable' }, 0);
    this.#retired = new Counter({
      name: 'rtvoice_legacy_keys_retired_total',
      help: 'Older flat keys that got their grace time after they were moved over.',
      registers: [registry],
    });
  }

  moved(generation: Generation | 'unknown', result: MigrationResult): void {
    this.#migrations.inc({ generation, result });
  }

  retired(): void {
    this.#retired.inc();
  }
}
