import type { CallEndReason } from '../contract/reasons.ts';
import type { AffinityRecord, HeartbeatRecord, Lease, RingRecord } from '../contract/records.ts';

/** One entry of a call's lease as its owner holds it in memory: enough to write it again after Redis was emptied. */
export interface HeldLease {
  callRef: string;
  fence: number;
  callConnectionId: string | undefined;
  ring: RingRecord;
  placedAtMs: number;
}

export type PlaceOutcome =
  /** A lease stands. `repeated`: the ring id had one already, and this is the same answer again. */
  | { kind: 'placed'; lease: Lease; endpoint: string; repeated: boolean }
  /** The ring id belongs to a call that has ended; nothing is to be done. */
  | { kind: 'ended' }
  /** No admitting worker has a free slot. Counted as demand; a redelivery may be placed. */
  | { kind: 'full' }
  /** The pool's epoch is missing: owners re-assert first. */
  | { kind: 'recovering' };

export interface RenewOutcome {
  /** Leases of the request that stand and were extended. */
  renewed: string[];
  /** Those of them that Redis no longer had and that were written again: the call's own records are likely gone too. */
  rewritten: string[];
  /** Leases of the request that another owner or a newer fence holds: stop writing, close the socket. */
  lost: { callRef: string; fence: number; worker: string }[];
  /** Leases that name this worker (this or an earlier incarnation), are over 1 s old and were not in the request. */
  unheld: Lease[];
  /** Up to a bounded number of ringing leases whose worker has no heartbeat: to be re-placed. */
  strandedRings: Lease[];
  /** Up to a bounded number of answered leases whose worker has no heartbeat for 5 s: takeover candidates that need a second witness. */
  orphans: Lease[];
  /** The pool is RECOVERING. */
  recovering: boolean;
}

/** One worker as a placement saw it, best first. */
export interface PlacementCandidate {
  worker: string;
  load: number;
  slots: number;
  heartbeatAgeMs: number;
  /** Why a call may not go there; undefined when it may. */
  refusedBecause: 'noHeartbeat' | 'notAdmitted' | 'refusesItself' | 'mustRenew' | 'full' | 'excluded' | undefined;
}

export interface PlacementRefusal {
  /** Redis time in milliseconds. */
  atMs: number;
  ringId: string;
  /** Refused placements of the pool up to this one. */
  refusedTotal: number;
  candidates: PlacementCandidate[];
}

export interface PlacementExplanation {
  /** Redis time in milliseconds. */
  atMs: number;
  strategy: 'Spread' | 'Pack';
  /** At most 64 workers of the pool. */
  candidates: PlacementCandidate[];
  /** Newest first. */
  refusals: PlacementRefusal[];
}

export type GrantOutcome =
  | { kind: 'granted'; lease: Lease }
  /** The lease is not what the caller saw: someone else was quicker. */
  | { kind: 'moved'; lease: Lease | undefined }
  /** The taker stands at its hard limit. */
  | { kind: 'full' }
  | { kind: 'recovering' };

/** A callback that another worker parked: `body` is one CloudEvents array as JSON. */
export interface ParkedCallback {
  callRef: string;
  body: string;
}

/** A call whose records are not all archived. */
export interface UnsentCall {
  callRef: string;
  /** Unknown until ACS has answered; without it and without an owner nothing was ever written, so there is nothing to archive. */
  callConnectionId: string | undefined;
  /** Redis time in milliseconds. */
  enteredAtMs: number;
  /** Undefined once the lease is gone. `live`: that worker's heartbeat counts, so it drains the stream itself. */
  owner: { worker: string; live: boolean } | undefined;
}

export type DrainClaim =
  /** This archiver alone may drain the stream until the claim's time is over; the fence grows with each change of holder. */
  | { kind: 'claimed'; fence: number }
  /** Another archiver's claim stands. */
  | { kind: 'held'; worker: string }
  /** The call's owner gives signs of life and drains the stream itself. */
  | { kind: 'owned'; worker: string };

/** How a pool is, as Redis tells it. */
export interface Pulse {
  /** Placements that found no slot: a counter that only grows, until Redis is emptied. */
  refusedTotal: number;
  /** The pool's epoch is missing: owners re-assert first. */
  recovering: boolean;
}

/** The pool's table of leases: every method is one script in the pool's slot. All expiry is in Redis time. */
export interface LeaseTable {
  /** Design: "place". `exclude`: workers that did not answer a hand-off. `replaces`: re-placement of this fence (refused when the lease moved on). */
  place(request: {
    ring: RingRecord;
    newCallRef: string;
    strategy: 'Spread' | 'Pack';
    exclude?: readonly string[];
    replaces?: { callRef: string; fence: number };
  }): Promise<PlaceOutcome>;

  /** Extends every held lease, writes those that Redis no longer has (re-assertion), refreshes the epoch. */
  renew(request: { worker: string; incarnation: string; held: readonly HeldLease[] }): Promise<RenewOutcome>;

  /**
   * Writes a lease for a ring that the receiver took by itself while Redis was away. Where the ring already has a lease that is
   * still `ringing` (a `place` whose reply was lost) and this worker has answered (callConnectionId known), that lease is replaced
   * by this call under a higher fence; a lease that another worker has answered stays, and the result is `taken`.
   */
  adopt(request: {
    worker: string;
    incarnation: string;
    lease: HeldLease;
  }): Promise<{ kind: 'adopted'; fence: number } | { kind: 'taken' }>;

  /** True while this (fence, incarnation) still owns the lease: asked right before answering. */
  owns(request: { callRef: string; fence: number; incarnation: string }): Promise<boolean>;

  /** ACS has answered: the lease gets its callConnectionId and the normal lease time. */
  answered(request: {
    callRef: string;
    fence: number;
    incarnation: string;
    callConnectionId: string;
  }): Promise<'written' | 'fenced' | 'missing'>;

  /** Takeover, step one. Names the (fence, incarnation) that was seen; `fenceFloor` when `claim` was refused by a higher stored fence. */
  grant(request: {
    callRef: string;
    seen: { fence: number; incarnation: string };
    taker: { worker: string; incarnation: string; hardSlotLimit: number };
    fenceFloor?: number;
  }): Promise<GrantOutcome>;

  /** The call has ended: the lease goes, the ring's outcome stays for ten minutes. Safe to repeat. */
  release(request: { callRef: string; fence: number; incarnation: string }): Promise<void>;

  find(callRef: string): Promise<Lease | undefined>;

  /**
   * Heartbeat, once a second: returns the worker's affinity record (extended, not changed) and the callbacks that others parked for it;
   * `inbox` is the bodies of `parked`. An entry comes again until the next heartbeat has acknowledged it.
   */
  beat(
    heartbeat: HeartbeatRecord,
  ): Promise<{ affinity: AffinityRecord | undefined; inbox: string[]; parked: ParkedCallback[] }>;
  heartbeat(worker: string): Promise<HeartbeatRecord | undefined>;
  /** Milliseconds since the last heartbeat in Redis time (from the key's TTL), or undefined when it has expired. */
  heartbeatAgeMs(worker: string): Promise<number | undefined>;
  heartbeats(): Promise<HeartbeatRecord[]>;
  /** The pool's pulse and the heartbeats of those workers, without the ones that have none: one command for all. */
  vitals(workers: readonly string[]): Promise<{ pulse: Pulse; heartbeats: HeartbeatRecord[] }>;
  /** Parks a callback body (one CloudEvents array as JSON) for a worker whose heartbeat is fresh but who did not answer. */
  park(worker: string, callRef: string, body: string): Promise<void>;

  /** Controller only; an older `controllerFence` is refused. */
  writeAffinity(record: AffinityRecord): Promise<'written' | 'fenced'>;
  affinity(worker: string): Promise<AffinityRecord | undefined>;
  /** Controller only: every known worker has re-asserted (or none exists yet), so `place` and `grant` may go on. */
  confirmRecovery(controllerFence: number): Promise<void>;
  /** The highest fence of a controller that wrote to this pool; 0 when none did. */
  controllerFence(): Promise<number>;
  /** The pulse and the leases of each worker. */
  summary(): Promise<Pulse & { calls: Record<string, number> }>;

  /** Who a call placed now would go to and why not to the others, and the last refusals (one a second at the most) with the same. */
  explainPlacement(strategy: 'Spread' | 'Pack'): Promise<PlacementExplanation>;

  /** For the archiver: calls that may have records to archive, oldest first. */
  unsent(limit: number, offset?: number): Promise<UnsentCall[]>;
  /** After a restore: calls that are placed from now on get fences above `floor`. The floor that holds, which may be higher. */
  raiseFenceFloor(floor: number): Promise<number>;
  /** Records of a call were brought back from a spool: the archiver looks at it again. Safe to repeat. */
  enterUnsent(callRef: string, callConnectionId: string): Promise<void>;
  /** For the archiver, after the end record is archived and the stream is empty. */
  markSent(callRef: string): Promise<void>;
  /** For the archiver: claims or extends the draining of one call's stream. */
  claimDrain(callRef: string, worker: string, incarnation: string, leaseMs: number): Promise<DrainClaim>;
}

export interface HistoryEntry {
  /** 1-based, without gaps within a call. */
  seq: number;
  role: 'caller' | 'assistant' | 'system';
  text: string;
  /** Unix milliseconds of the owner's clock, for people to read. */
  atMs: number;
}

/** The call's own record, key `…:call:<callConnectionId>:session`. */
export interface SessionRecord {
  v: number;
  callRef: string;
  callConnectionId: string;
  correlationId: string;
  serverCallId: string;
  from: string;
  to: string;
  startedAtMs: number;
  /** Name of the state machine's state. */
  state: string;
  /** Ids of the last events that were applied, newest last, bounded. */
  recentEventIds: string[];
  /** What the voice backend needs to go on with the dialogue. */
  dialogue: unknown;
  nextSeq: number;
}

/** Kinds of records that the archive takes; each has its container. */
export const ARCHIVE_KINDS = ['turn', 'summary', 'profile', 'analytics', 'audit', 'metrics'] as const;
export type ArchiveKind = (typeof ARCHIVE_KINDS)[number];

/** A record on its way to Cosmos DB. `id` is fixed by its content, so that a retry is harmless. */
export interface OutboxEntry {
  id: string;
  kind: ArchiveKind;
  body: Record<string, unknown>;
}

export interface CallSummary {
  v: number;
  callConnectionId: string;
  callRef: string;
  correlationId: string;
  from: string;
  to: string;
  startedAtMs: number;
  endedAtMs: number;
  reason: CallEndReason;
  turns: number;
  workers: string[];
  partial: boolean;
}

export interface Checkpoint {
  callConnectionId: string;
  callRef: string;
  fence: number;
  incarnation: string;
  /** Grows with each write of one owner: a repeated id changes nothing. */
  writeId: number;
  session: SessionRecord;
  /** Without it the context stands as it was last written. */
  context?: Record<string, unknown>;
  /** Entries since the last acknowledged checkpoint. */
  history: readonly HistoryEntry[];
  outbox: readonly OutboxEntry[];
  /** With the last checkpoint of a call: writes the call summary (7 days). */
  summary?: CallSummary;
  /** `history` is all there is: what Redis holds of it is replaced. After Redis has lost data. */
  full?: boolean;
}

export interface StoredCall {
  session: SessionRecord | undefined;
  context: Record<string, unknown>;
  history: HistoryEntry[];
  /** Outbox entries that Cosmos DB has not acknowledged yet, oldest first. */
  unarchived: OutboxEntry[];
}

export type CheckpointOutcome =
  | { kind: 'written' }
  /** This or a later write id of this fence was applied before; nothing changed. */
  | { kind: 'repeated'; lastWriteId: number }
  /** A newer owner holds the call: stop writing. */
  | { kind: 'fenced'; storedFence: number }
  /** Redis holds less history than the writer had acknowledged: it has lost data. Nothing was written; send everything (`full`). */
  | { kind: 'gap'; storedSeq: number }
  /** An older owner is on record and this one has not claimed the call. Nothing was written; `claim`, then `full`. */
  | { kind: 'unclaimed'; storedFence: number };

/** One call's records in Redis; every method is one script in the call's slot. */
export interface CallStore {
  /** Takeover, step two: raises the call's fence and returns its state. */
  claim(request: { callConnectionId: string; fence: number; incarnation: string }): Promise<
    | {
        kind: 'claimed';
        call: StoredCall;
        /** What the archive has refused for good, as far as it can be read: an emptied Redis needs it again. */
        quarantined: OutboxEntry[];
        lastWriteId: number;
      }
    | { kind: 'refused'; storedFence: number }
  >;
  /** Context, history and outbox in one step; all or nothing. */
  checkpoint(checkpoint: Checkpoint): Promise<CheckpointOutcome>;
  /** Extends the TTLs of a live call's keys (not of authentication state). */
  refresh(request: {
    callConnectionId: string;
    fence: number;
    incarnation: string;
  }): Promise<'refreshed' | 'fenced' | 'missing'>;
  read(callConnectionId: string): Promise<StoredCall>;
}
