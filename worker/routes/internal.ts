import { INTERNAL } from '../../contract/urls.ts';
import { METHOD_NOT_ALLOWED, NOT_FOUND, UNAUTHENTICATED } from '../http/errors.ts';
import { answerError, type HttpExchange } from '../http/exchange.ts';
import type { RouteDeps, Routes } from './deps.ts';
import { run } from './dispatch.ts';
import { createOperatorRoutes } from './operator.ts';
import { handleHandOff, handleRelayedEvents, upgradeRelayedMedia } from './relayed.ts';

type Route = {
  name: string;
  method: 'GET' | 'POST';
  /** Probes only: kubelet holds no key. */
  open?: boolean;
  serve: (exchange: HttpExchange) => void | Promise<void>;
};

const RELAYED = /^\/internal\/relay\/([a-z0-9]{8,40})\/(events|media)$/;

/** What workers, the controller and operators reach. The edge does not know this listener. */
export function createInternalRoutes(deps: RouteDeps): Routes {
  const operator = createOperatorRoutes(deps);
  const fixed: Readonly<Record<string, Route>> = {
    [INTERNAL.livez]: { name: 'livez', method: 'GET', open: true, serve: operator.livez },
    [INTERNAL.readyz]: { name: 'readyz', method: 'GET', open: true, serve: operator.readyz },
    [INTERNAL.healthz]: { name: 'healthz', method: 'GET', serve: operator.healthz },
    [INTERNAL.metrics]: { name: 'metrics', method: 'GET', serve: operator.metrics },
    [INTERNAL.statusz]: { name: 'statusz', method: 'GET', serve: operator.statusz },
    [INTERNAL.drain]: { name: 'drain', method: 'POST', serve: operator.drain },
    [INTERNAL.handOff]: { name: 'handOff', method: 'POST', serve: (exchange) => handleHandOff(exchange, deps) },
  };

  function routeOf(path: string): Route | undefined {
    if (Object.hasOwn(fixed, path)) return fixed[path];
    const [, callRef, leaf] = RELAYED.exec(path) ?? [];
    if (callRef === undefined || leaf !== 'events') return undefined;
    return { name: 'relayEvents', method: 'POST', serve: (exchange) => handleRelayedEvents(exchange, callRef, deps) };
  }

  function serve(exchange: HttpExchange, route: Route | undefined): void | Promise<void> {
    if (!route?.open && !authenticated(exchange, deps)) return;
    if (!route) return answerError(exchange, NOT_FOUND.with());
    if (exchange.method !== route.method) return answerError(exchange, METHOD_NOT_ALLOWED.with());
    return route.serve(exchange);
  }

  return {
    handle(exchange) {
      const route = routeOf(exchange.path);
      run(exchange, { listener: 'internal', route: route?.name ?? 'none', kind: 'request' }, deps, () =>
        serve(exchange, route),
      );
    },
    upgrade(exchange) {
      const [, callRef, leaf] = RELAYED.exec(exchange.path) ?? [];
      run(
        exchange,
        { listener: 'internal', route: leaf === 'media' ? 'relayMedia' : 'none', kind: 'upgrade' },
        deps,
        () => {
          if (!authenticated(exchange, deps)) return;
          if (callRef === undefined || leaf !== 'media') return answerError(exchange, NOT_FOUND.with());
          return upgradeRelayedMedia(exchange, callRef, deps);
        },
      );
    },
  };
}

function authenticated(exchange: HttpExchange, deps: RouteDeps): boolean {
  if (deps.security.internalKeys.accepts(exchange.header('authorization'))) return true;
  deps.security.failures.record('internal_key');
  answerError(exchange, UNAUTHENTICATED.with());
  return false;
}
