import { errorCode } from '../../platform/errors.ts';
import { UNAVAILABLE } from '../http/errors.ts';
import { answerError, type HttpExchange } from '../http/exchange.ts';
import type { RouteDeps } from './deps.ts';

export type Listener = 'public' | 'internal';

/**
 * Runs a handler to its end: counts the answer, and turns a fault into 503, which every sender of ours repeats.
 * `route` is a name of a closed set, never the path.
 */
export function run(
  exchange: HttpExchange,
  where: { listener: Listener; route: string; kind: 'request' | 'upgrade' },
  deps: RouteDeps,
  handler: () => void | Promise<void>,
): void {
  const { listener, route, kind } = where;
  const count = () => {
    const status = exchange.answered === undefined ? 'aborted' : String(exchange.answered);
    deps.metrics.requests.inc({ listener, route, status });
  };
  const fail = (error: unknown) => {
    deps.metrics.faults.inc({ where: kind });
    deps.log.error({ err: error, code: errorCode(error), route }, 'a handler failed');
    answerError(exchange, UNAVAILABLE.with('a fault of this worker'));
    count();
  };
  try {
    Promise.resolve(handler()).then(count, fail);
  } catch (error) {
    fail(error);
  }
}
