import { CALL_UNKNOWN, HEADER_MISSING, TOO_MANY_PENDING, UNAVAILABLE } from '../http/errors.ts';
import { answerError, type HttpExchange, type UpgradeExchange } from '../http/exchange.ts';
import { CALL_CONNECTION_HEADER, CORRELATION_HEADER, type MediaHeaders } from '../relay/media_leg.ts';
import { acceptsAcsJwt, acceptsCallToken } from './caller_auth.ts';
import type { RouteDeps } from './deps.ts';

const MAX_HEADER_LENGTH = 256;

/** `/w/…/c/<call ref>/media`: ACS dials in. Everything is decided before the upgrade, so that a refusal is a status ACS understands. */
export async function upgradeMedia(exchange: UpgradeExchange, callRef: string, deps: RouteDeps): Promise<void> {
  if (!acceptsCallToken(exchange, callRef, deps)) return;
  const leave = deps.pending.enter(exchange.source);
  if (!leave) return answerError(exchange, TOO_MANY_PENDING.with(), { 'retry-after': '1' });
  try {
    if (!(await acceptsAcsJwt(exchange, deps))) return;
  } finally {
    leave();
  }
  const headers = mediaHeaders(exchange);
  if (!headers) return;
  await connect(exchange, callRef, headers, deps);
}

async function connect(
  exchange: UpgradeExchange,
  callRef: string,
  headers: MediaHeaders,
  deps: RouteDeps,
): Promise<void> {
  const relayed = deps.relay.socket(callRef, headers);
  exchange.onAborted(() => relayed.closed(1001));
  const found = await relayed.connect();
  if (exchange.closed) return;
  if (found.kind === 'here') {
    exchange.accept((socket) => deps.host.openMedia(callRef, socket, headers));
  } else if (found.kind === 'served') {
    const accepted = exchange.accept((socket) => {
      relayed.attach(socket);
      return relayed;
    });
    if (!accepted) relayed.closed(1001);
  } else if (found.kind === 'unknown') {
    answerError(exchange, CALL_UNKNOWN.with());
  } else {
    answerError(exchange, UNAVAILABLE.with('the owner of the call'), { 'retry-after': '1' });
  }
}

/** Both ids of the connection; when it returns undefined, the exchange has its answer. */
export function mediaHeaders(exchange: HttpExchange): MediaHeaders | undefined {
  const callConnectionId = exchange.header(CALL_CONNECTION_HEADER);
  const correlationId = exchange.header(CORRELATION_HEADER);
  if (
    callConnectionId &&
    correlationId &&
    Math.max(callConnectionId.length, correlationId.length) <= MAX_HEADER_LENGTH
  ) {
    return { callConnectionId, correlationId };
  }
  answerError(exchange, HEADER_MISSING.with(callConnectionId ? CORRELATION_HEADER : CALL_CONNECTION_HEADER));
  return undefined;
}
