import type { PoolRef } from '../../contract/ids.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import type { Security } from '../../security/security.ts';
import type { WorkerHealth } from '../health.ts';
import type { SourceCaps } from '../http/caps.ts';
import type { HttpExchange, UpgradeExchange } from '../http/exchange.ts';
import type { CallHost } from '../ports.ts';
import type { Relay } from '../relay/relay.ts';
import type { HealthProviders } from './health_checks.ts';
import type { HttpMetrics } from './http_metrics.ts';

/** What every route may use. */
export interface RouteDeps {
  pool: PoolRef;
  host: CallHost;
  security: Security;
  relay: Relay;
  health: WorkerHealth;
  healthProviders: HealthProviders;
  registry: Registry;
  metrics: HttpMetrics;
  clock: Clock;
  log: Log;
  /** Requests whose sender or body is still in question. */
  pending: SourceCaps;
  bodyLimits: { maxBytes: number; timeoutMs: number };
  isReady: () => boolean;
}

/** One listener's routes. Neither method throws; both start reading a body before they return. */
export interface Routes {
  handle(exchange: HttpExchange): void;
  upgrade(exchange: UpgradeExchange): void;
}
