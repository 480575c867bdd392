import type { Clock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { Counter, type Registry } from '../platform/metrics.ts';

/** Every way authentication can fail; the label `kind` of `rtvoice_auth_failures_total`. */
export const AUTH_FAILURE_KINDS = [
  'call_token_missing',
  'call_token_malformed',
  'call_token_unknown_key',
  'call_token_signature',
  'call_token_expired',
  'jwt_missing',
  'jwt_malformed',
  'jwt_algorithm',
  'jwt_unknown_key',
  'jwt_signature',
  'jwt_claims',
  'jwt_expired',
  'jwt_keys_unavailable',
  'event_grid_key',
  'event_grid_topic',
  'internal_key',
] as const;
export type AuthFailureKind = (typeof AUTH_FAILURE_KINDS)[number];

export interface AuthFailures {
  /** Counts every failure; logs at most one line per kind and ten seconds, since an attacker sets the rate. */
  record(kind: AuthFailureKind): void;
}

const LOG_PERIOD_MS = 10_000;

export function createAuthFailures(options: { registry: Registry; log: Log; clock: Clock }): AuthFailures {
  const { registry, log, clock } = options;
  const counter = new Counter({
    name: 'rtvoice_auth_failures_total',
    help: 'Requests that failed authentication, by what was wrong.',
    labelNames: ['kind'],
    registers: [registry],
  });
  // A series that is born at 1 never fires increase() > 0.
  for (const kind of AUTH_FAILURE_KINDS) counter.inc({ kind }, 0);
  const quiet = new Map<AuthFailureKind, { untilMs: number; unlogged: number }>();
  return {
    record(kind) {
      counter.inc({ kind });
      const nowMs = clock.monotonicMs();
      const last = quiet.get(kind);
      if (last && nowMs < last.untilMs) {
        last.unlogged++;
        return;
      }
      log.warn({ kind, unlogged: last?.unlogged ?? 0 }, 'authentication failed');
      quiet.set(kind, { untilMs: nowMs + LOG_PERIOD_MS, unlogged: 0 });
    },
  };
}
