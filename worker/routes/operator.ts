import { z } from 'zod';
import { parseJson, readBody } from '../http/body.ts';
import { BODY_INVALID, METHOD_NOT_ALLOWED } from '../http/errors.ts';
import { answerError, answerJson, type HttpExchange } from '../http/exchange.ts';
import type { RouteDeps } from './deps.ts';
import { cached, checkHealth } from './health_checks.ts';

const MAX_LAG_MS = 5_000;
const DRAIN = z.object({
  deadlineMs: z
    .int()
    .min(0)
    .max(7 * 86_400_000)
    .optional(),
  reason: z.string().min(1).max(200).optional(),
});

export type OperatorRoute = (exchange: HttpExchange) => void | Promise<void>;

/** What kubelet, Prometheus, the controller and people ask of a worker, by path. */
export function createOperatorRoutes(
  deps: RouteDeps,
): Readonly<Record<'livez' | 'readyz' | 'healthz' | 'metrics' | 'statusz' | 'drain', OperatorRoute>> {
  const { registry, clock, host, health } = deps;
  const report = cached(5_000, clock, () => checkHealth(deps.healthProviders, clock));
  const scrape = cached(1_000, clock, () => registry.metrics());
  return {
    livez(exchange) {
      const lagMs = Math.round(health.eventLoopLagMs());
      answerJson(exchange, lagMs < MAX_LAG_MS ? 200 : 503, { live: lagMs < MAX_LAG_MS, eventLoopLagMs: lagMs });
    },
    readyz(exchange) {
      const ready = deps.isReady();
      answerJson(exchange, ready ? 200 : 503, ready ? { ready } : { ready, reason: 'starting or shutting down' });
    },
    async healthz(exchange) {
      answerJson(exchange, 200, await report());
    },
    async metrics(exchange) {
      exchange.answer(200, { contentType: registry.contentType, text: await scrape() });
    },
    statusz(exchange) {
      answerJson(exchange, 200, host.status());
    },
    async drain(exchange) {
      if (exchange.method !== 'POST') return answerError(exchange, METHOD_NOT_ALLOWED.with());
      const body = await readBody(exchange, deps.bodyLimits, clock);
      if (body.kind !== 'complete') return;
      const request = DRAIN.safeParse(body.bytes.length === 0 ? {} : parseJson(body.bytes)?.value);
      if (!request.success) {
        return answerError(exchange, BODY_INVALID.with(request.error.issues[0]?.path.join('.') || 'not a JSON object'));
      }
      host.drain({ deadlineMs: request.data.deadlineMs, reason: request.data.reason ?? 'requested' });
      answerJson(exchange, 202, { draining: true });
    },
  };
}
