import { Gauge, Histogram, type Registry, STORE_LATENCY_BUCKETS } from '../../platform/metrics.ts';

interface Persistable {
  readonly dirty: boolean;
}

/** One per worker process: persistence figures over all its calls. */
export class ConversationMetrics {
  readonly #dirty = new Set<Persistable>();
  readonly #persist: Histogram;

  constructor(registry: Registry) {
    const dirty = this.#dirty;
    this.#persist = new Histogram({
      name: 'rtvoice_state_persist_duration_seconds',
      help: 'Time from memory to confirmed in Redis, one write of one call.',
      buckets: STORE_LATENCY_BUCKETS,
      registers: [registry],
    });
    new Gauge({
      name: 'rtvoice_state_dirty_calls',
      help: 'Calls with state that Redis has not confirmed.',
      registers: [registry],
      collect() {
        this.set(dirty.size);
      },
    });
  }

  changed(call: Persistable): void {
    this.#dirty.add(call);
  }

  persisted(call: Persistable, seconds: number): void {
    this.#persist.observe(seconds);
    if (!call.dirty) this.#dirty.delete(call);
  }

  /** Its state belongs to another worker now. */
  gone(call: Persistable): void {
    this.#dirty.delete(call);
  }
}
