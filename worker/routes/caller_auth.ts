import { poolTag } from '../../contract/ids.ts';
import { UNAUTHENTICATED, UNAVAILABLE } from '../http/errors.ts';
import { answerError, type HttpExchange } from '../http/exchange.ts';
import type { RouteDeps } from './deps.ts';

/** The token that we gave out is checked first: it costs microseconds, and only its holders can make us look at keys of the network. */
export function acceptsCallToken(exchange: HttpExchange, callRef: string, deps: RouteDeps): boolean {
  const verdict = deps.security.callTokens.verify(exchange.query('t'), { tag: poolTag(deps.pool), callRef });
  if (verdict.ok) return true;
  deps.security.failures.record(`call_token_${verdict.reason}`);
  answerError(exchange, UNAUTHENTICATED.with());
  return false;
}

/** The JWT that ACS signs. When it answers false, the exchange has its answer. */
export async function acceptsAcsJwt(exchange: HttpExchange, deps: RouteDeps): Promise<boolean> {
  const verdict = await deps.security.acsJwt.verify(exchange.header('authorization'));
  if (verdict.kind === 'ok') return true;
  if (verdict.kind === 'refused') {
    deps.security.failures.record(`jwt_${verdict.reason}`);
    answerError(exchange, UNAUTHENTICATED.with());
    return false;
  }
  deps.security.failures.record('jwt_keys_unavailable');
  answerError(exchange, UNAVAILABLE.with('signing keys of the issuer'), { 'retry-after': '1' });
  return false;
}
