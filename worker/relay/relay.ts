import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { Registry } from '../../platform/metrics.ts';
import type { CallEvent, CallHost } from '../ports.ts';
import type { MediaHeaders } from './media_leg.ts';
import { createOwnerClient } from './owner_client.ts';
import { searchOwner } from './owner_search.ts';
import { createRelayMetrics } from './relay_metrics.ts';
import { RelayedSocket } from './relayed_socket.ts';

/** Serves a call's traffic wherever its owner is: here, or over the owner's internal listener. */
export interface Relay {
  /** `body` is the request as it came, `events` what of it could be read. `unavailable`: ACS shall come again. */
  deliver(callRef: string, body: Buffer, events: readonly CallEvent[]): Promise<'done' | 'unavailable'>;
  /** A media socket that asks for this call; not yet connected. */
  socket(callRef: string, headers: MediaHeaders): RelayedSocket;
  /** Attached sockets whose call is elsewhere. */
  liveSockets(): number;
  close(): Promise<void>;
}

export function createRelay(options: {
  host: CallHost;
  authorization: string;
  ownerAnswerMs: number;
  registry: Registry;
  clock: Clock;
  log: Log;
}): Relay {
  const { host, authorization, ownerAnswerMs, registry, clock, log } = options;
  const live = new Set<RelayedSocket>();
  const metrics = createRelayMetrics(registry, () => live.size);
  const client = createOwnerClient({ authorization, answerMs: ownerAnswerMs, clock, log });
  return {
    async deliver(callRef, body, events) {
      const found = await searchOwner({
        host,
        callRef,
        cause: { kind: 'callback', body: body.toString('utf8') },
        ask: (endpoint) => client.relayEvents(endpoint, callRef, body),
      });
      if (found.kind === 'here') await host.applyEvents(callRef, events);
      metrics.callbacks.inc({ result: found.kind });
      return found.kind === 'unavailable' ? 'unavailable' : 'done';
    },
    socket: (callRef, headers) =>
      new RelayedSocket({ host, authorization, ownerAnswerMs, clock, log, metrics, live }, callRef, headers),
    liveSockets: () => live.size,
    async close() {
      for (const socket of [...live]) socket.end(1001, 'shutdown');
      await client.close();
    },
  };
}
