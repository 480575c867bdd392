import { Counter, Gauge, type Registry } from '../../platform/metrics.ts';

export interface RelayMetrics {
  /** `direction`: `in` from ACS to the owner, `out` back. */
  readonly dropped: Counter<'direction'>;
  /** Relayed sockets whose owner broke away: `leg` to another owner, `here` taken over, `ended` with its call, `lost` closed so that ACS dials again. */
  readonly moves: Counter<'result'>;
  /** Callbacks by where they ended: `here`, `served` by the owner, `parked`, `unknown`, `unavailable`. */
  readonly callbacks: Counter<'result'>;
}

export function createRelayMetrics(registry: Registry, liveSockets: () => number): RelayMetrics {
  const registers = [registry];
  new Gauge({
    name: 'rtvoice_relayed_sockets',
    help: 'Media sockets that end here and belong to a call of another worker.',
    registers,
    collect() {
      this.set(liveSockets());
    },
  });
  const metrics: RelayMetrics = {
    dropped: new Counter({
      name: 'rtvoice_relay_messages_dropped_total',
      help: 'Messages of relayed media sockets that were dropped: no owner for the moment, or a full buffer.',
      labelNames: ['direction'],
      registers,
    }),
    moves: new Counter({
      name: 'rtvoice_relay_moves_total',
      help: 'Relayed media sockets whose owner broke away, by what became of them.',
      labelNames: ['result'],
      registers,
    }),
    callbacks: new Counter({
      name: 'rtvoice_callbacks_total',
      help: 'Verified callback requests of ACS, by where they ended.',
      labelNames: ['result'],
      registers,
    }),
  };
  for (const direction of ['in', 'out'] as const) metrics.dropped.inc({ direction }, 0);
  for (const result of ['leg', 'here', 'ended', 'lost']) metrics.moves.inc({ result }, 0);
  for (const result of ['here', 'served', 'parked', 'unknown', 'unavailable']) metrics.callbacks.inc({ result }, 0);
  return metrics;
}
