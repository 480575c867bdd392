import { Counter, Gauge, type Registry } from '../../platform/metrics.ts';
import type { VerifiedStore } from './verify.ts';

export type SealingEvent =
  /** A record was sealed. */
  | 'sealed'
  /** A sealed record was opened. */
  | 'opened'
  /** A plain record was read while migrating. */
  | 'plainRead'
  /** A plain record was refused. */
  | 'plainRefused'
  /** The key of a record is gone. */
  | 'keyErased'
  /** A record does not open though its key is there. */
  | 'notAuthentic'
  /** A key could not be had. */
  | 'keyUnavailable';

/** The sealing series of one process. */
export class SealingMetrics {
  readonly #records: Counter<'event'>;
  readonly #callerKeys: Counter<'source'>;
  readonly #violations: Gauge<'store'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#records = new Counter({
      name: 'rtvoice_sealing_records_total',
      help: 'Records that passed the sealing codec, by what happened to them.',
      labelNames: ['event'],
      registers,
    });
    this.#callerKeys = new Counter({
      name: 'rtvoice_sealing_caller_keys_total',
      help: 'Caller keys that calls got, by where they came from.',
      labelNames: ['source'],
      registers,
    });
    this.#violations = new Gauge({
      name: 'rtvoice_encryption_violations',
      help: 'Records with members in clear that must be sealed, found by the last verification, by store.',
      labelNames: ['store'],
      registers,
    });
  }

  record(event: SealingEvent): void {
    this.#records.inc({ event });
  }

  /** `made`: the stores know none. `madeUnanswered`: they did not answer in time. */
  callerKey(source: 'memory' | 'store' | 'made' | 'madeUnanswered'): void {
    this.#callerKeys.inc({ source });
  }

  violations(store: VerifiedStore, count: number): void {
    this.#violations.set({ store }, count);
  }
}
