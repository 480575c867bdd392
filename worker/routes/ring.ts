import { errorCode } from '../../platform/errors.ts';
import { EVENT_GRID_KEY_HEADER } from '../../security/event_grid.ts';
import { parseJson, readBody } from '../http/body.ts';
import { BODY_INVALID, METHOD_NOT_ALLOWED, UNAUTHENTICATED, UNAVAILABLE, WRONG_TOPIC } from '../http/errors.ts';
import { answerError, answerJson, type HttpExchange } from '../http/exchange.ts';
import type { RouteDeps } from './deps.ts';
import type { EventResult } from './http_metrics.ts';
import { type GridEvent, parseGridEvent } from './incoming_call.ts';

const ORIGIN = /^[A-Za-z0-9.-]{1,253}$/;

/** `/p/<namespace>/<pool>/events`: where Event Grid tells of incoming calls. */
export async function handleRing(exchange: HttpExchange, deps: RouteDeps): Promise<void> {
  if (exchange.method === 'OPTIONS') return answerWebhookOptions(exchange, deps);
  if (exchange.method !== 'POST') return answerError(exchange, METHOD_NOT_ALLOWED.with());
  if (!deps.security.eventGrid.acceptsKey(exchange.header(EVENT_GRID_KEY_HEADER))) return refuseKey(exchange, deps);
  const body = await readBody(exchange, deps.bodyLimits, deps.clock);
  if (body.kind !== 'complete') return;
  const parsed = parseJson(body.bytes);
  if (!parsed) return answerError(exchange, BODY_INVALID.with('not JSON'));
  // A subscription in the CloudEvents schema without batching sends the bare event.
  const elements = Array.isArray(parsed.value) ? parsed.value : [parsed.value];
  const results = await Promise.all(elements.map((element) => take(parseGridEvent(element), deps)));
  for (const { result } of results) deps.metrics.events.inc({ source: 'eventGrid', result });
  answerDelivery(exchange, results);
}

interface Taken {
  result: EventResult;
  code?: string;
}

/** One element, judged alone. Never throws: a fault of ours must bring the event back, not drop it. */
async function take(event: GridEvent, deps: RouteDeps): Promise<Taken> {
  if (event.kind === 'malformed' && event.topic === undefined) return malformed(event.field, deps);
  if (!deps.security.eventGrid.acceptsTopic(event.topic)) {
    deps.security.failures.record('event_grid_topic');
    return { result: 'foreignTopic' };
  }
  if (event.kind === 'malformed') return malformed(event.field, deps);
  if (event.kind === 'ignored') return { result: 'ignored' };
  if (event.kind === 'validation') return { result: 'validation', code: event.code };
  try {
    return { result: await deps.host.ring(event.ring) };
  } catch (error) {
    deps.log.error({ err: error, code: errorCode(error), ringId: event.ring.ringId }, 'placing a call failed');
    return { result: 'unavailable' };
  }
}

function malformed(field: string, deps: RouteDeps): Taken {
  deps.log.warn({ code: 'ERR_EVENT_MALFORMED', field }, 'an Event Grid event could not be read');
  return { result: 'malformed' };
}

/**
 * Event Grid never repeats what was answered 400, 401, 403 or 413, and repeats everything of a request that was answered 503: so one
 * event that must come again decides, and ring ids make the others harmless.
 */
function answerDelivery(exchange: HttpExchange, results: readonly Taken[]): void {
  const foreign = results.some(({ result }) => result === 'foreignTopic');
  const validation = results.find(({ code }) => code !== undefined);
  if (results.some(({ result }) => result === 'unavailable')) {
    answerError(exchange, UNAVAILABLE.with('placement'), { 'retry-after': '1' });
  } else if (foreign && results.every(({ result }) => result === 'foreignTopic' || result === 'malformed')) {
    answerError(exchange, WRONG_TOPIC.with());
  } else {
    answerJson(exchange, 200, validation ? { validationResponse: validation.code } : { received: results.length });
  }
}

/**
 * The handshake of the CloudEvents schema (CloudEvents webhook specification, section 4). Azure does not say whether it sends the
 * subscription's headers with it, so the key may be absent; agreeing gives nothing away, since every delivery needs the key.
 */
function answerWebhookOptions(exchange: HttpExchange, deps: RouteDeps): void {
  const key = exchange.header(EVENT_GRID_KEY_HEADER);
  const origin = exchange.header('webhook-request-origin');
  if (key !== undefined && !deps.security.eventGrid.acceptsKey(key)) {
    refuseKey(exchange, deps);
  } else if (origin === undefined || !ORIGIN.test(origin)) {
    answerError(exchange, BODY_INVALID.with('header WebHook-Request-Origin'));
  } else {
    const headers: Record<string, string> = { 'WebHook-Allowed-Origin': origin, Allow: 'POST' };
    if (exchange.header('webhook-request-rate') !== undefined) headers['WebHook-Allowed-Rate'] = '*';
    exchange.answer(200, { headers });
  }
}

function refuseKey(exchange: HttpExchange, deps: RouteDeps): void {
  deps.security.failures.record('event_grid_key');
  answerError(exchange, UNAUTHENTICATED.with());
}
