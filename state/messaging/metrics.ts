import { Counter, Gauge, Histogram, type Registry } from '../../platform/metrics.ts';

/** Seconds from accepted by the broker to confirmed by Cosmos DB. */
const LAG_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200];

export const SEND_RESULTS = ['ok', 'later', 'throttled', 'refused'] as const;
/** `returned`: given back unsettled, which does not count as a failed delivery. `lock_lost`: it comes again to somebody. */
export const SETTLE_RESULTS = ['completed', 'dead_lettered', 'returned', 'lock_lost'] as const;

export class MessagingMetrics {
  readonly #sent: Counter<'result'>;
  readonly #received: Counter;
  readonly #settled: Counter<'result'>;
  readonly #lag: Histogram;
  readonly #sessions: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#sent = new Counter({
      name: 'rtvoice_messaging_sent_total',
      help: 'Records handed to the message broker by result: ok, later, throttled, refused.',
      labelNames: ['result'],
      registers,
    });
    this.#received = new Counter({
      name: 'rtvoice_messaging_received_total',
      help: 'Records received from the message broker, repeated deliveries included.',
      registers,
    });
    this.#settled = new Counter({
      name: 'rtvoice_messaging_settled_total',
      help: 'What became of received records: completed, dead_lettered, returned, lock_lost.',
      labelNames: ['result'],
      registers,
    });
    this.#lag = new Histogram({
      name: 'rtvoice_messaging_lag_seconds',
      help: 'From accepted by the broker to confirmed by Cosmos DB; by two clocks, so only its growth means something.',
      buckets: LAG_BUCKETS,
      registers,
    });
    this.#sessions = new Gauge({
      name: 'rtvoice_messaging_sessions',
      help: 'Calls whose records this worker is moving from the queue to the archive.',
      registers,
    });
    for (const result of SEND_RESULTS) this.#sent.inc({ result }, 0);
    for (const result of SETTLE_RESULTS) this.#settled.inc({ result }, 0);
  }

  sent(result: (typeof SEND_RESULTS)[number], count = 1): void {
    this.#sent.inc({ result }, count);
  }

  received(count: number): void {
    this.#received.inc(count);
  }

  settled(result: (typeof SETTLE_RESULTS)[number], count = 1): void {
    this.#settled.inc({ result }, count);
  }

  lag(seconds: number): void {
    this.#lag.observe(Math.max(0, seconds));
  }

  sessions(change: 1 | -1): void {
    this.#sessions.inc(change);
  }
}
