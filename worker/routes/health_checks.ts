import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';

/** The checks that the architecture document names, in its order. */
export const HEALTH_KEYS = [
  'redis_connectivity',
  'memory_usage',
  'key_expiration_compliance',
  'encryption_validation',
  'performance_baseline',
  'security_posture',
] as const;
export type HealthKey = (typeof HEALTH_KEYS)[number];

export interface HealthCheck {
  healthy: boolean;
  /** What was found, for people; no personal data. */
  note?: string;
}
export type HealthProviders = Readonly<Record<HealthKey, () => HealthCheck | Promise<HealthCheck>>>;

export interface HealthReport {
  status: 'healthy' | 'degraded';
  details: Record<string, boolean>;
  notes: Record<string, string>;
}

const CHECK_TIMEOUT_MS = 1_000;

/** Runs every check; one that throws or takes too long is unhealthy and does not hold up the others. */
export async function checkHealth(providers: HealthProviders, clock: Clock): Promise<HealthReport> {
  const checks = await Promise.all(
    HEALTH_KEYS.map(async (key) => [key, await runCheck(providers[key], clock)] as const),
  );
  return {
    status: checks.every(([, { healthy }]) => healthy) ? 'healthy' : 'degraded',
    details: Object.fromEntries(checks.map(([key, { healthy }]) => [key, healthy])),
    notes: Object.fromEntries(checks.flatMap(([key, { note }]) => (note === undefined ? [] : [[key, note]]))),
  };
}

function runCheck(provider: () => HealthCheck | Promise<HealthCheck>, clock: Clock): Promise<HealthCheck> {
  return new Promise((resolve) => {
    const timer = clock.after(CHECK_TIMEOUT_MS, () => resolve({ healthy: false, note: 'no result within 1 s' }));
    void new Promise<HealthCheck>((settle) => settle(provider()))
      .catch((error: unknown): HealthCheck => ({ healthy: false, note: `the check failed: ${errorCode(error)}` }))
      .then((check) => {
        timer.cancel();
        resolve(check);
      });
  });
}

/** Computes at most once per `maxAgeMs`; whoever comes meanwhile shares the result, so that a storm of readers costs one. A failure is not kept. */
export function cached<T>(maxAgeMs: number, clock: Clock, compute: () => Promise<T>): () => Promise<T> {
  let kept: { atMs: number; value: Promise<T> } | undefined;
  return () => {
    const nowMs = clock.monotonicMs();
    if (!kept || nowMs - kept.atMs >= maxAgeMs) {
      const mine = { atMs: nowMs, value: compute() };
      kept = mine;
      mine.value.catch(() => {
        if (kept === mine) kept = undefined;
      });
    }
    return kept.value;
  };
}
