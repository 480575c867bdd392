import type { Clock } from '../../platform/clock.ts';
import type { SpeechLibrary } from '../audio/speech.ts';
import type { MediaRedial } from '../media/connection.ts';
import type { Ticker } from '../media/ticker.ts';
import type { SimulatedCall } from './call.ts';
import type { CallbackFaults } from './callbacks.ts';
import type { CallConnection } from './connection.ts';
import type { EventGrid } from './event_grid.ts';
import type { Poster } from './poster.ts';

export interface AcsTimings {
  /** How long a call rings: 30,000 at the service. */
  ringMs: number;
  /** Wait before Event Grid delivers a failed event again: 10,000 at the service. */
  redeliveryMs: number;
  /** From the answer to CallConnected, media dialling included. */
  connectMs: number;
  /** Between two pings on a media socket. */
  pingMs: number;
}

export const SERVICE_TIMINGS: AcsTimings = { ringMs: 30_000, redeliveryMs: 10_000, connectMs: 20, pingMs: 10_000 };

/** Trouble on demand for the whole resource; holds for what comes from then on. */
export interface AcsFaults {
  /** So many requests get 429. */
  throttle: number;
  retryAfterSeconds: number;
  /** So many requests get 503 and are not applied. */
  unavailable: number;
  /** So many requests are applied, then the connection is cut before the answer. */
  replyLost: number;
  /** Every answer comes this much later; the request is applied after it. */
  delayMs: number;
  /** Connections are cut as they come in; callbacks and media go on. */
  down: boolean;
  /** The key set cannot be fetched: 503. */
  keysAway: boolean;
  callbacks: CallbackFaults;
}

/** What calls need of the resource they belong to. */
export interface AcsDeps {
  readonly clock: Clock;
  readonly ticker: Ticker;
  readonly speech: SpeechLibrary;
  readonly poster: Poster;
  readonly grid: EventGrid;
  readonly timings: AcsTimings;
  readonly faults: AcsFaults;
  readonly localAuthority: string;
  mediaRedial: MediaRedial;
  /** A token that the resource signs for `lifeSeconds`. */
  token(lifeSeconds: number): Promise<string>;
  /** Makes the call known under its `incomingCallContext`. */
  ringing(call: SimulatedCall): void;
  connected(connection: CallConnection): void;
}
