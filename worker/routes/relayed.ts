import { parseJson, readBody } from '../http/body.ts';
import { BODY_INVALID, CALL_ELSEWHERE, CALL_UNKNOWN, HAND_OFF_REFUSED, UNAVAILABLE } from '../http/errors.ts';
import { answerError, answerJson, type HttpExchange, type UpgradeExchange } from '../http/exchange.ts';
import type { Location } from '../ports.ts';
import { parseCallEvents } from './call_events.ts';
import type { RouteDeps } from './deps.ts';
import { parseHandOff } from './hand_off.ts';
import { mediaHeaders } from './media.ts';

/** A callback that another worker passed on. It is served here or not at all: one hop, so that no request can go round. */
export async function handleRelayedEvents(exchange: HttpExchange, callRef: string, deps: RouteDeps): Promise<void> {
  const body = await readBody(exchange, deps.bodyLimits, deps.clock);
  if (body.kind !== 'complete') return;
  const events = parseCallEvents(body.bytes, deps.metrics);
  if (!events) return answerError(exchange, BODY_INVALID.with('not a JSON array of CloudEvents'));
  const location = await deps.host.locate(callRef);
  if (location.kind !== 'here') return answerNotHere(exchange, location);
  await deps.host.applyEvents(callRef, events);
  answerJson(exchange, 200, { received: events.length });
}

/** A media socket that another worker passes on: the same, before the upgrade. */
export async function upgradeRelayedMedia(exchange: UpgradeExchange, callRef: string, deps: RouteDeps): Promise<void> {
  const headers = mediaHeaders(exchange);
  if (!headers) return;
  const location = await deps.host.locate(callRef);
  if (location.kind !== 'here') return answerNotHere(exchange, location);
  exchange.accept((socket) => deps.host.openMedia(callRef, socket, headers));
}

/** A placed call comes to its owner. */
export async function handleHandOff(exchange: HttpExchange, deps: RouteDeps): Promise<void> {
  const body = await readBody(exchange, deps.bodyLimits, deps.clock);
  if (body.kind !== 'complete') return;
  const handOff = parseHandOff(parseJson(body.bytes)?.value);
  if (typeof handOff === 'string') return answerError(exchange, BODY_INVALID.with(handOff));
  const outcome = await deps.host.handOff(handOff);
  if (outcome === 'accepted') answerJson(exchange, 200, { outcome });
  else answerError(exchange, HAND_OFF_REFUSED.with());
}

function answerNotHere(exchange: HttpExchange, location: Exclude<Location, { kind: 'here' }>): void {
  if (location.kind === 'elsewhere') {
    const { worker, incarnation, fence } = location.lease;
    const owner = { worker, incarnation, fence, endpoint: location.endpoint };
    answerJson(exchange, CALL_ELSEWHERE.status, { ...CALL_ELSEWHERE.with().toJSON(), owner });
  } else {
    answerError(exchange, location.kind === 'unknown' ? CALL_UNKNOWN.with() : UNAVAILABLE.with('the lease table'));
  }
}
