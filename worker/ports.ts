import type { HandOff, Lease, RingRecord } from '../contract/records.ts';
import type { MediaSocket } from './media/ports.ts';

/** One Call Automation event as it came in a CloudEvents array; `data` is not yet trusted beyond being an object. */
export interface CallEvent {
  id: string;
  source: string;
  /** Without the prefix `Microsoft.Communication.`. */
  type: string;
  timeMs: number | undefined;
  data: Record<string, unknown>;
}

/** Where a call's traffic belongs. */
export type Location =
  | { kind: 'here' }
  | { kind: 'elsewhere'; lease: Lease; endpoint: string }
  /** No lease and no memory of it: it never was, or it has ended. */
  | { kind: 'unknown' }
  /** Redis cannot be asked, and the call is not in memory here. */
  | { kind: 'unavailable' };

/** What the listeners (server, routes, relay) need of the calls: implemented by worker/calls, the only side that knows the state machine. */
export interface CallHost {
  /** One verified IncomingCall: placed first, acknowledged then. `unavailable` answers 503 and Event Grid comes again. */
  ring(ring: RingRecord): Promise<'accepted' | 'unavailable'>;
  handOff(handOff: HandOff): Promise<'accepted' | 'refused'>;
  locate(callRef: string): Promise<Location>;
  /** Events of a call that is here, each judged alone and applied at most once. */
  applyEvents(callRef: string, events: readonly CallEvent[]): Promise<void>;
  /** A media socket of a call that is here; undefined when the call has just ended. */
  openMedia(
    callRef: string,
    socket: MediaSocket,
    headers: { callConnectionId: string; correlationId: string },
  ): MediaEnd | undefined;
  /**
   * Passive takeover: the owner gave no application answer in time. `here`: this worker owns the call now. `elsewhere`: another
   * was quicker, ask `locate` again. `parked`: the owner lives, its callback waits in its inbox. `refused`: recovering or full.
   */
  takeOver(
    lease: Lease,
    cause: { kind: 'mediaUpgrade' } | { kind: 'callback'; body: string },
  ): Promise<'here' | 'elsewhere' | 'parked' | 'refused'>;
  /** Stops admitting; `deadlineMs` only for drains from outside. */
  drain(request: { deadlineMs: number | undefined; reason: string }): void;
  status(): WorkerStatus;
}

/** The incoming side of an accepted media socket. */
export interface MediaEnd {
  receive(message: ArrayBuffer): void;
  /** The socket is gone, whoever closed it. */
  closed(code: number): void;
}

export interface WorkerStatus {
  worker: string;
  incarnation: string;
  pool: string;
  state: 'starting' | 'serving' | 'draining' | 'stopping';
  slots: number;
  startedAtMs: number;
  redis: { available: boolean; unavailableForMs: number };
  dirtyCalls: number;
  unsentRecords: number;
  relayedSockets: number;
  eventLoopLagMs: number;
  calls: CallStatus[];
}

export interface CallStatus {
  callRef: string;
  callConnectionId: string | undefined;
  state: string;
  fence: number;
  ageMs: number;
  turns: number;
  mediaAttached: boolean;
  /** Where the newest turn stands. */
  stored: 'memory' | 'redis' | 'cosmos';
  /** Only when RTVOICE_STATUS_TEXT is on (local mode): what was heard and said last. */
  recent?: { role: 'caller' | 'assistant'; text: string; responseMs?: number }[];
}
