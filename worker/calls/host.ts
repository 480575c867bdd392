import type { CallEndReason } from '../../contract/reasons.ts';
import type { AffinityRecord, HandOff, HeartbeatRecord, Lease, RingRecord } from '../../contract/records.ts';
import type { Timer } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import type { LeaseTable, ParkedCallback } from '../../state/ports.ts';
import { parseCallEvent } from '../acs/events.ts';
import type { MediaSocket } from '../media/ports.ts';
import type { CallEvent, CallHost, Location, MediaEnd, WorkerStatus } from '../ports.ts';
import { Recovery } from '../recovery.ts';
import { type AdmissionView, refusesHandOff, refusesNewCalls, refusesUnreplicated } from './admission.ts';
import { type Answering, answer } from './answering.ts';
import { Call } from './call.ts';
import type { CallDeps } from './deps.ts';
import { Drain } from './drain.ts';
import { Finishing } from './finishing.ts';
import type { HandOffClient } from './hand_off.ts';
import { CallRegistry } from './registry.ts';
import { Rings } from './rings.ts';
import { heartbeatOf, type RedisView, type StatusInput, statusOf, type WorkerView } from './status.ts';
import { Takeovers } from './takeover.ts';

export interface HostOptions {
  calls: Omit<CallDeps, 'onConnectionId' | 'onEnded' | 'onSuperseded'>;
  leases: LeaseTable;
  redis: RedisView;
  handOffs: HandOffClient;
  view: WorkerView;
  /** The archive's side of a call's life here. */
  archive: {
    track(call: { callConnectionId: string; callRef: string; pendingIds: readonly string[] }): void;
    untrack(callConnectionId: string): void;
    holds(callRef: string): boolean;
  };
  /** A third of the shortest TTL of a live call's keys. */
  refreshAfterMs: number;
}

const REFRESH_CHECK_MAX_MS = 5_000;
const LEAVE_TO_OTHERS_MS = 15_000;

/** The calls of one worker and everything that can happen to them: what the listeners talk to. */
export class WorkerCalls implements CallHost {
  readonly registry = new CallRegistry();
  readonly recovery: Recovery;
  readonly drainState: Drain;
  readonly #options: HostOptions;
  readonly #calls: CallDeps;
  readonly #rings: Rings;
  readonly #takeovers: Takeovers;
  readonly #finishing: Finishing;
  readonly #startedAtMs: number;
  #state: WorkerStatus['state'] = 'starting';
  #refresh: Timer | undefined;

  constructor(options: HostOptions) {
    const { leases, handOffs, redis } = options;
    this.#options = options;
    this.#startedAtMs = options.calls.clock.wallMs();
    this.#calls = {
      ...options.calls,
      onConnectionId: (call, id) => void this.#onConnectionId(call, id),
      onEnded: (call, reason) => this.#onEnded(call, reason),
      onSuperseded: (call) => this.#onSuperseded(call),
    };
    this.#finishing = new Finishing({ calls: this.#calls, leases, registry: this.registry });
    this.#takeovers = new Takeovers({
      calls: this.#calls,
      leases,
      registry: this.registry,
      answer: (call) => this.#answer(call),
      track: (call, id) => this.#track(call, id),
    });
    this.#rings = new Rings({
      calls: this.#calls,
      leases,
      handOffs,
      redisAvailable: () => redis.available,
      refusesUnreplicated: () => refusesUnreplicated(this.#admission()),
      take: (lease, how) => this.#take(lease, how),
      knowsRing: (ringId) => this.registry.byRing(ringId) !== undefined,
    });
    this.drainState = new Drain({ calls: this.#calls, leases, handOffs, registry: this.registry });
    this.recovery = new Recovery({
      worker: this.#calls.worker,
      incarnation: this.#calls.incarnation,
      clock: this.#calls.clock,
      log: this.#calls.log,
      leases,
      registry: this.registry,
      takeovers: this.#takeovers,
      heartbeat: () => this.heartbeat(),
      onAffinity: (affinity) => this.#onAffinity(affinity),
      onInbox: (parked) => this.#onInbox(parked),
      ignores: (callRef) => options.archive.holds(callRef),
      onUnheldRing: (lease) => this.#take(lease, { leased: true }),
      onStrandedRing: (lease) => void this.#rings.replace(lease),
      onRewritten: (calls) => {
        for (const call of calls) call.record.rewrite();
      },
    });
  }

  serving(): void {
    this.#state = 'serving';
    this.recovery.start();
    const refreshCheckMs = Math.min(REFRESH_CHECK_MAX_MS, this.#options.refreshAfterMs / 3);
    this.#refresh = this.#calls.clock.every(refreshCheckMs, () => this.#refreshSilent());
  }

  ring(ring: RingRecord): Promise<'accepted' | 'unavailable'> {
    return this.#rings.accept(ring);
  }

  /** A call placed here by another receiver, or one that a draining owner asks this worker to take over. */
  async handOff({ lease }: HandOff): Promise<'accepted' | 'refused'> {
    if (refusesHandOff(this.#admission())) return 'refused';
    if (lease.worker !== this.#calls.worker) {
      const result = await this.#takeovers.take(lease, 'drain');
      if (result !== 'here') return 'refused';
      this.registry.get(lease.callRef)?.askForMedia();
      return 'accepted';
    }
    if (lease.incarnation !== this.#calls.incarnation) return 'refused';
    const call = this.registry.get(lease.callRef);
    if (call && lease.callConnectionId) call.connectedAs(lease.callConnectionId);
    else this.#take(lease, { leased: true });
    return 'accepted';
  }

  async locate(callRef: string): Promise<Location> {
    if (this.registry.knows(callRef)) return { kind: 'here' };
    const { leases, redis } = this.#options;
    if (!redis.available) return { kind: 'unavailable' };
    try {
      const lease = await leases.find(callRef);
      if (this.registry.knows(callRef)) return { kind: 'here' };
      if (!lease) return { kind: 'unknown' };
      if (lease.worker === this.#calls.worker) return await this.#ownLease(lease);
      const endpoint =
        (await leases.affinity(lease.worker))?.endpoint ?? (await leases.heartbeat(lease.worker))?.endpoint ?? '';
      return { kind: 'elsewhere', lease, endpoint };
    } catch (error) {
      this.#calls.log.warn({ callRef, code: errorCode(error) }, 'a call could not be located');
      return { kind: 'unavailable' };
    }
  }

  applyEvents(callRef: string, events: readonly CallEvent[]): Promise<void> {
    const call = this.registry.find(callRef);
    for (const event of events) {
      const result = call ? call.apply(event) : 'stale';
      this.#calls.metrics.events.inc({ type: event.type, result });
    }
    return Promise.resolve();
  }

  openMedia(
    callRef: string,
    socket: MediaSocket,
    headers: { callConnectionId: string; correlationId: string },
  ): MediaEnd | undefined {
    return this.registry.get(callRef)?.openMedia(socket, headers);
  }

  takeOver(
    lease: Lease,
    cause: { kind: 'mediaUpgrade' } | { kind: 'callback'; body: string },
  ): Promise<'here' | 'elsewhere' | 'parked' | 'refused'> {
    return this.#takeovers.passive(lease, cause);
  }

  drain(request: { deadlineMs: number | undefined; reason: string }): void {
    this.#state = 'draining';
    this.drainState.begin(request);
  }

  /**
   * SIGTERM: as a drain. Resolves when no call is left and Cosmos DB has every record, or, when Cosmos DB is away, a while after
   * Redis has them: then the archiver of another worker sends them.
   */
  async finishAll(): Promise<void> {
    if (!this.drainState.draining) this.drain({ deadlineMs: undefined, reason: 'SIGTERM' });
    await this.recovery.beat();
    const { clock } = this.#calls;
    let timer: Timer | undefined;
    const leftToOthers = new Promise<void>((resolve) => {
      let safeSinceMs: number | undefined;
      timer = clock.every(250, () => {
        const safe = this.registry.size === 0 && this.registry.finishing().every((call) => !call.record.dirty);
        safeSinceMs = safe ? (safeSinceMs ?? clock.monotonicMs()) : undefined;
        if (safeSinceMs !== undefined && clock.monotonicMs() - safeSinceMs > LEAVE_TO_OTHERS_MS) resolve();
      });
    });
    await Promise.race([this.registry.empty(), leftToOthers]);
    timer?.cancel();
    this.#state = 'stopping';
  }

  close(): void {
    this.#refresh?.cancel();
    this.recovery.stop();
    this.#rings.close();
    this.drainState.close();
  }

  /** An entry reached Cosmos DB. */
  archived(callConnectionId: string, ids: readonly string[]): void {
    this.registry.byConnectionId(callConnectionId)?.record.archived(ids);
  }

  /** Cosmos DB refuses entries for good: they stand in the quarantine. */
  quarantined(callConnectionId: string, ids: readonly string[]): void {
    this.registry.byConnectionId(callConnectionId)?.record.quarantined(ids);
  }

  /** Redis lost entries before they were archived. */
  missing(callConnectionId: string): void {
    this.registry.byConnectionId(callConnectionId)?.record.rewrite();
  }

  heartbeat(): HeartbeatRecord {
    return heartbeatOf(this.#statusInput(), refusesNewCalls(this.#admission()) === undefined);
  }

  status(): WorkerStatus {
    return statusOf(this.#statusInput(), this.#state, this.#startedAtMs);
  }

  #statusInput(): StatusInput {
    return { calls: this.#calls, registry: this.registry, view: this.#options.view, redis: this.#options.redis };
  }

  #admission(): AdmissionView {
    const { redis, view } = this.#options;
    const { spec } = this.#calls;
    return {
      draining: this.drainState.draining,
      stopping: this.#state === 'stopping',
      liveCalls: this.registry.size,
      slots: spec.slotsPerWorker,
      hardSlotLimit: spec.worker.hardSlotLimit,
      memoryBytes: view.memoryBytes(),
      memoryLimitBytes: spec.worker.memoryLimitMiB * 2 ** 20,
      redisFull: view.redisFull(),
      spoolFull: view.spoolFull(),
      redisAvailable: redis.available,
      redisUnavailableForMs: redis.unavailableForMs,
      unreplicatedGraceMs: spec.redis.unreplicatedGraceSeconds * 1000,
    };
  }

  #take(lease: Pick<Lease, 'callRef' | 'fence' | 'ring' | 'callConnectionId'>, how: { leased: boolean }): void {
    if (this.registry.knows(lease.callRef)) return;
    const call = new Call(this.#calls, lease, how);
    this.registry.add(call);
    this.#answer(call);
  }

  #answer(call: Call): void {
    const context: Answering = {
      deps: this.#calls,
      leases: this.#options.leases,
      redisAvailable: () => this.#options.redis.available,
      onFencedOut: (fenced, id) => void this.#fencedOut(fenced, id),
    };
    answer(context, call).catch((error: unknown) => call.log.error({ err: error }, 'answering failed'));
  }

  /** The answer came under an old fence: the owner gets the callConnectionId, and nothing is served here. */
  async #fencedOut(call: Call, callConnectionId: string | undefined): Promise<void> {
    call.superseded();
    if (callConnectionId === undefined) return;
    const location = await this.locate(call.ref);
    if (location.kind !== 'elsewhere') return;
    await this.#options.handOffs.send(location.endpoint, { lease: { ...location.lease, callConnectionId } });
  }

  async #ownLease(lease: Lease): Promise<Location> {
    if (lease.incarnation === this.#calls.incarnation && lease.state === 'ringing') {
      this.#take(lease, { leased: true });
      return { kind: 'here' };
    }
    const result = await this.#takeovers.take(lease, 'restart');
    return result === 'here' ? { kind: 'here' } : { kind: 'unavailable' };
  }

  #track(call: Call, callConnectionId: string): void {
    this.#options.archive.track({ callConnectionId, callRef: call.ref, pendingIds: call.record.unarchivedIds });
  }

  async #onConnectionId(call: Call, callConnectionId: string): Promise<void> {
    call.record.open(callConnectionId);
    if (!call.holdsVoice) this.#track(call, callConnectionId);
    if (!call.leased) return;
    try {
      const { ref: callRef, fence, incarnation } = call;
      const result = await this.#options.leases.answered({ callRef, fence, incarnation, callConnectionId });
      if (result === 'fenced') await this.#fencedOut(call, callConnectionId);
    } catch (error) {
      // The next renewal carries the id.
      call.log.warn({ code: errorCode(error) }, 'the lease does not have the call id yet');
    }
  }

  #onSuperseded(call: Call): void {
    if (call.callConnectionId !== undefined) this.#options.archive.untrack(call.callConnectionId);
    this.registry.forget(call);
  }

  #onEnded(call: Call, reason: CallEndReason): void {
    const { metrics, clock } = this.#calls;
    metrics.ended.inc({ reason });
    if (reason === 'answerFailed') metrics.countSetup('failed');
    else metrics.timeCall((clock.monotonicMs() - call.createdAtMs) / 1000);
    call.log.info({ reason, turns: call.turns.count }, 'call ended');
    this.registry.finish(call);
    void this.#finishing.finish(call, reason);
  }

  /** A call without a turn for long keeps its records: their TTLs are extended at a third of the shortest. */
  #refreshSilent(): void {
    for (const call of this.registry.live()) {
      call.record.refreshIfOlderThan(this.#options.refreshAfterMs).catch((error: unknown) => {
        call.log.debug({ code: errorCode(error) }, 'TTLs not extended; trying again');
      });
    }
  }

  #onAffinity(affinity: AffinityRecord | undefined): void {
    if (!affinity || this.drainState.draining) return;
    if (affinity.state === 'draining') this.drain({ deadlineMs: undefined, reason: 'affinity' });
  }

  /** Callbacks come as they were received elsewhere; what cannot be read was counted there. */
  #onInbox(parked: readonly ParkedCallback[]): void {
    for (const { callRef, body } of parked) {
      const value = JSON.parse(body) as unknown;
      const events = (Array.isArray(value) ? value : [value]).flatMap((element) => {
        const event = parseCallEvent(element);
        return 'malformed' in event ? [] : [event];
      });
      void this.applyEvents(callRef, events);
    }
  }
}
