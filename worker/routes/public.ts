import { type PublicRoute, parsePublicPath } from '../../contract/urls.ts';
import { NOT_FOUND } from '../http/errors.ts';
import { answerError, type HttpExchange } from '../http/exchange.ts';
import { handleCallEvents } from './call_events.ts';
import type { RouteDeps, Routes } from './deps.ts';
import { run } from './dispatch.ts';
import { upgradeMedia } from './media.ts';
import { handleRing } from './ring.ts';

/** What Azure reaches: rings of the pool, and the events and media of its calls. Everything else is 404. */
export function createPublicRoutes(deps: RouteDeps): Routes {
  const notFound = (exchange: HttpExchange) => answerError(exchange, NOT_FOUND.with());
  return {
    handle(exchange) {
      const route = ours(exchange.path, deps);
      const where = { listener: 'public', kind: 'request' } as const;
      if (route?.kind === 'ring') {
        return run(exchange, { ...where, route: 'ring' }, deps, () => handleRing(exchange, deps));
      }
      if (route?.kind === 'call' && route.leaf === 'events') {
        return run(exchange, { ...where, route: 'events' }, deps, () =>
          handleCallEvents(exchange, route.callRef, deps),
        );
      }
      run(exchange, { ...where, route: 'none' }, deps, () => notFound(exchange));
    },
    upgrade(exchange) {
      const route = ours(exchange.path, deps);
      const where = { listener: 'public', kind: 'upgrade' } as const;
      if (route?.kind === 'call' && route.leaf === 'media') {
        return run(exchange, { ...where, route: 'media' }, deps, () => upgradeMedia(exchange, route.callRef, deps));
      }
      run(exchange, { ...where, route: 'none' }, deps, () => notFound(exchange));
    },
  };
}

/** Any worker id will do, since the edge falls over to another worker of the pool; the pool must be ours. */
function ours(path: string, deps: RouteDeps): PublicRoute | undefined {
  const route = parsePublicPath(path);
  return route?.namespace === deps.pool.namespace && route.pool === deps.pool.pool ? route : undefined;
}
