import { Counter, Gauge, type Registry } from '../../platform/metrics.ts';

export type RenewalResult = 'ok' | 'unchanged' | 'failed';

/** The series of one process about its tokens for Redis; there are none where a password is used. */
export class TokenMetrics {
  readonly #renewals: Counter<'result'>;
  readonly #sources = new Set<{ readonly expiresInMs: number | undefined }>();

  constructor(registry: Registry) {
    const sources = this.#sources;
    this.#renewals = new Counter({
      name: 'rtvoice_redis_token_renewals_total',
      help: 'Tokens of Microsoft Entra ID that were asked for, by result; unchanged: the identity gave the same one again.',
      labelNames: ['result'],
      registers: [registry],
    });
    for (const result of ['ok', 'unchanged', 'failed'] as const) this.#renewals.inc({ result }, 0);
    new Gauge({
      name: 'rtvoice_redis_token_expiry_seconds',
      help: 'Seconds until the token in use ends, below 0 once it has; 0 until there is one.',
      registers: [registry],
      collect() {
        this.set(Math.min(...[...sources].map(({ expiresInMs = 0 }) => expiresInMs / 1000), Number.MAX_SAFE_INTEGER));
      },
    });
  }

  watch(source: { readonly expiresInMs: number | undefined }): void {
    this.#sources.add(source);
  }

  unwatch(source: { readonly expiresInMs: number | undefined }): void {
    this.#sources.delete(source);
  }

  renewed(result: RenewalResult): void {
    this.#renewals.inc({ result });
  }
}

const perRegistry = new WeakMap<Registry, TokenMetrics>();

/** A registry takes each name once. */
export function tokenMetrics(registry: Registry): TokenMetrics {
  const known = perRegistry.get(registry);
  if (known) return known;
  const made = new TokenMetrics(registry);
  perRegistry.set(registry, made);
  return made;
}
