import { Counter, type Registry } from '../../platform/metrics.ts';

export type EventResult =
  /** A call was placed or was known already. */
  | 'accepted'
  /** Trouble of ours: the sender comes again. */
  | 'unavailable'
  /** The handshake of a subscription. */
  | 'validation'
  /** Of a type that is nothing to us. */
  | 'ignored'
  /** Could not be read; its neighbours were. */
  | 'malformed'
  /** Of a topic that is not ours. */
  | 'foreignTopic';

const SOURCES = ['eventGrid', 'acs'] as const;
const RESULTS: readonly EventResult[] = [
  'accepted',
  'unavailable',
  'validation',
  'ignored',
  'malformed',
  'foreignTopic',
];

export interface HttpMetrics {
  /** Each element of a delivery, by what became of it. */
  readonly events: Counter<'source' | 'result'>;
  /** Requests by listener, route and status; upgrades count as 101. */
  readonly requests: Counter<'listener' | 'route' | 'status'>;
  /** Handlers that threw: a fault of ours. */
  readonly faults: Counter<'where'>;
}

export function createHttpMetrics(registry: Registry): HttpMetrics {
  const registers = [registry];
  const metrics: HttpMetrics = {
    events: new Counter({
      name: 'rtvoice_webhook_events_total',
      help: 'Elements of event deliveries, by source and by what became of them.',
      labelNames: ['source', 'result'],
      registers,
    }),
    requests: new Counter({
      name: 'rtvoice_http_requests_total',
      help: 'Requests, by listener, route and status.',
      labelNames: ['listener', 'route', 'status'],
      registers,
    }),
    faults: new Counter({
      name: 'rtvoice_handler_faults_total',
      help: 'Handlers of the listeners that threw: a fault of the worker.',
      labelNames: ['where'],
      registers,
    }),
  };
  for (const source of SOURCES) for (const result of RESULTS) metrics.events.inc({ source, result }, 0);
  for (const where of ['request', 'upgrade', 'socket']) metrics.faults.inc({ where }, 0);
  return metrics;
}
