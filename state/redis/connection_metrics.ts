import { Counter, Gauge, type Registry } from '../../platform/metrics.ts';
import { BREAKER_STATES, type BreakerState } from './breaker.ts';
import type { RedisRole } from './options.ts';

/** What the gauges read of each client when they are scraped. */
export interface ConnectionSource {
  readonly role: RedisRole;
  /** One for each server that holds data. */
  readonly breakerStates: readonly BreakerState[];
  /** TLS version of each connection that is up, `none` without TLS. */
  readonly protocols: readonly string[];
}

const ROLES: readonly RedisRole[] = ['fastFail', 'patient'];
const PROTOCOLS = ['none', 'TLSv1.3'] as const;

/** The series about connections: breakers, TLS, and new credentials. */
export class ConnectionMetrics {
  readonly #authentications: Counter<'result'>;

  constructor(registry: Registry, sources: ReadonlySet<ConnectionSource>) {
    const registers = [registry];
    this.#authentications = new Counter({
      name: 'rtvoice_redis_authentications_total',
      help: 'New credentials that were sent on live Redis connections, by result.',
      labelNames: ['result'],
      registers,
    });
    for (const result of ['ok', 'failed'] as const) this.#authentications.inc({ result }, 0);
    new Gauge({
      name: 'rtvoice_redis_breakers',
      help: 'Circuit breakers, one for each client and Redis server that holds data, by state; open: commands of the call path are refused at once.',
      labelNames: ['role', 'state'],
      registers,
      collect() {
        for (const role of ROLES) {
          const states = [...sources]
            .filter((source) => source.role === role)
            .flatMap((source) => source.breakerStates);
          for (const state of BREAKER_STATES) {
            this.set({ role, state }, states.filter((each) => each === state).length);
          }
        }
      },
    });
    new Gauge({
      name: 'rtvoice_redis_connections',
      help: 'Redis connections that are up, by negotiated TLS version.',
      labelNames: ['tls'],
      registers,
      collect() {
        const found = [...sources].flatMap(({ protocols }) => protocols);
        for (const tls of PROTOCOLS) this.set({ tls }, found.filter((each) => each === tls).length);
      },
    });
  }

  authenticated(result: 'ok' | 'failed'): void {
    this.#authentications.inc({ result });
  }
}
