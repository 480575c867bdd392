import { parseCallEvent } from '../acs/events.ts';
import { parseJson, readBody } from '../http/body.ts';
import { BODY_INVALID, METHOD_NOT_ALLOWED, UNAVAILABLE } from '../http/errors.ts';
import { answerError, answerJson, type HttpExchange } from '../http/exchange.ts';
import type { CallEvent } from '../ports.ts';
import { acceptsAcsJwt, acceptsCallToken } from './caller_auth.ts';
import type { RouteDeps } from './deps.ts';
import type { HttpMetrics } from './http_metrics.ts';

/** `/w/…/c/<call ref>/events`: where ACS tells what happens in a call. */
export async function handleCallEvents(exchange: HttpExchange, callRef: string, deps: RouteDeps): Promise<void> {
  if (exchange.method !== 'POST') return answerError(exchange, METHOD_NOT_ALLOWED.with());
  if (!acceptsCallToken(exchange, callRef, deps)) return;
  // The body must be caught from the start, but a sender that is refused gets its answer without waiting for it.
  const reading = readBody(exchange, deps.bodyLimits, deps.clock);
  if (!(await acceptsAcsJwt(exchange, deps))) return;
  const body = await reading;
  if (body.kind !== 'complete') return;
  const events = parseCallEvents(body.bytes, deps.metrics);
  if (!events) return answerError(exchange, BODY_INVALID.with('not a JSON array of CloudEvents'));
  if (events.length > 0 && (await deps.relay.deliver(callRef, body.bytes, events)) === 'unavailable') {
    return answerError(exchange, UNAVAILABLE.with('the owner of the call'), { 'retry-after': '1' });
  }
  answerJson(exchange, 200, { received: events.length });
}

/** The readable elements; undefined when the whole is not JSON. Each element is judged alone. */
export function parseCallEvents(bytes: Buffer, metrics: HttpMetrics): CallEvent[] | undefined {
  const parsed = parseJson(bytes);
  if (!parsed || typeof parsed.value !== 'object' || parsed.value === null) return undefined;
  const events: CallEvent[] = [];
  for (const element of Array.isArray(parsed.value) ? parsed.value : [parsed.value]) {
    const event = parseCallEvent(element);
    if ('malformed' in event) {
      const foreignType = event.malformed === 'type' && typeof element.type === 'string';
      metrics.events.inc({ source: 'acs', result: foreignType ? 'ignored' : 'malformed' });
      continue;
    }
    events.push(event);
    metrics.events.inc({ source: 'acs', result: 'accepted' });
  }
  return events;
}
