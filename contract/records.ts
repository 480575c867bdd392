/**
 * Records that processes exchange through Redis and the internal listener.
 * Each carries a schema version `v`. A new version only adds optional fields; readers keep what they do not know and write it back.
 */
export const RECORD_VERSION = 1;

/** What the controller says of a worker. */
export interface AffinityRecord {
  v: number;
  worker: string;
  /** `admitting` takes new calls; `cordoned` takes none; `draining` takes none and shall end empty; `gone`: the named incarnation has ended. */
  state: 'admitting' | 'cordoned' | 'draining' | 'gone';
  /** With `gone`: the incarnation that ended. */
  incarnation?: string;
  /** Base URL of the internal listener, `http://host:port`. */
  endpoint: string;
  slots: number;
  revision: string;
  /** The controller's own fence (leaseTransitions; locally a number raised at each controller start): an older one is refused. */
  controllerFence: number;
}

/** What a worker says of itself once a second: the same figures as its `/metrics`. */
export interface HeartbeatRecord {
  v: number;
  worker: string;
  incarnation: string;
  /** Base URL of the internal listener. */
  endpoint: string;
  activeCalls: number;
  slots: number;
  memoryBytes: number;
  memoryLimitBytes: number;
  memoryBaselineBytes: number;
  eventLoopLagMs: number;
  relayedSockets: number;
  unsentRecords: number;
  /** False while the worker refuses new calls by itself (memory over 85 %, SIGTERM). */
  admits: boolean;
  /** Age of its oldest call and mean age of its calls, in whole seconds; missing without calls. */
  oldestCallSeconds?: number;
  meanCallAgeSeconds?: number;
  experience?: CallExperience;
}

/** What callers experienced on one process since its start: sums, so that they can be added up over workers. */
export interface CallExperience {
  /** Calls that this worker tried to answer. */
  setups: number;
  setupFailures: number;
  /** Answers whose first audio was timed, and the sum of those times. */
  responses: number;
  responseSeconds: number;
  callsEnded: number;
  /** Of the ended calls, how many were no longer than each of CALL_LENGTH_SECONDS; cumulative. */
  callLengths: number[];
}

/** Upper bounds of the lengths of calls that are told apart; the same as those of the histogram that Prometheus sees. */
export const CALL_LENGTH_SECONDS: readonly number[] = [5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];

/** The ring as Event Grid told it; kept with the lease so that any worker can answer it. */
export interface RingRecord {
  v: number;
  ringId: string;
  correlationId: string;
  incomingCallContext: string;
  from: string;
  to: string;
  serverCallId: string;
}

export interface Lease {
  callRef: string;
  ringId: string;
  worker: string;
  incarnation: string;
  fence: number;
  /** `ringing`: placed, not yet answered; `answered`: ACS has answered and the callConnectionId is known. */
  state: 'ringing' | 'answered';
  callConnectionId: string | undefined;
  ring: RingRecord;
  /** Redis time in milliseconds. */
  expiresAtMs: number;
  placedAtMs: number;
}

/** Body of the hand-off from the receiver of a ring to the owner. */
export interface HandOff {
  lease: Lease;
}
