import { newCallRef } from '../../contract/ids.ts';
import type { Lease, RingRecord } from '../../contract/records.ts';
import { errorCode } from '../../platform/errors.ts';
import type { LeaseTable, PlaceOutcome } from '../../state/ports.ts';
import { RING_MS } from './answering.ts';
import type { CallDeps } from './deps.ts';
import type { HandOffClient } from './hand_off.ts';
import { WaitingRings } from './waiting_rings.ts';

/** A ring goes to a third worker at most: then its redelivery or the owner's own renewal must find it. */
const MAX_PLACEMENTS = 3;

export interface RingDeps {
  calls: CallDeps;
  leases: Pick<LeaseTable, 'place'>;
  handOffs: HandOffClient;
  redisAvailable(): boolean;
  /** Why this worker may not take a ring by itself, or undefined. */
  refusesUnreplicated(): string | undefined;
  /** Starts the call here. */
  take(lease: Pick<Lease, 'callRef' | 'fence' | 'ring' | 'callConnectionId'>, options: { leased: boolean }): void;
  knowsRing(ringId: string): boolean;
}

/** Places first and acknowledges then: what happens to an IncomingCall until one worker owns it. */
export class Rings {
  readonly #deps: RingDeps;
  readonly #waiting: WaitingRings;

  constructor(deps: RingDeps) {
    this.#deps = deps;
    this.#waiting = new WaitingRings(deps.calls.clock, RING_MS, (ring) => this.#tryWaiting(ring));
  }

  async accept(ring: RingRecord): Promise<'accepted' | 'unavailable'> {
    if (this.#deps.knowsRing(ring.ringId)) return 'accepted';
    const outcome = await this.#place(ring);
    if (outcome === undefined) return this.#takeUnreplicated(ring);
    return this.#dispatch(ring, outcome);
  }

  /** A ringing lease whose worker is gone, found by a renewal here. */
  async replace(lease: Lease): Promise<void> {
    const outcome = await this.#place(lease.ring, {
      exclude: [lease.worker],
      replaces: { callRef: lease.callRef, fence: lease.fence },
    });
    if (outcome) this.#dispatch(lease.ring, outcome);
  }

  close(): void {
    this.#waiting.close();
  }

  /** Undefined when Redis gave no answer. */
  async #place(
    ring: RingRecord,
    again: { exclude?: readonly string[]; replaces?: { callRef: string; fence: number } } = {},
  ): Promise<PlaceOutcome | undefined> {
    const { calls, leases } = this.#deps;
    if (!this.#deps.redisAvailable()) return undefined;
    try {
      return await leases.place({
        ring,
        newCallRef: newCallRef(calls.random),
        strategy: calls.spec.placement.strategy,
        ...again,
      });
    } catch (error) {
      calls.log.warn({ code: errorCode(error) }, 'a ring could not be placed');
      return undefined;
    }
  }

  #dispatch(ring: RingRecord, outcome: PlaceOutcome): 'accepted' | 'unavailable' {
    switch (outcome.kind) {
      case 'placed':
        if (!outcome.repeated) void this.#deliver(outcome.lease, outcome.endpoint);
        return 'accepted';
      case 'ended':
        return 'accepted';
      case 'full':
        void this.#overflow(ring);
        return 'accepted';
      case 'recovering':
        this.#waiting.add(ring);
        return 'unavailable';
    }
  }

  async #deliver(first: Lease, firstEndpoint: string): Promise<void> {
    const { calls, handOffs } = this.#deps;
    const exclude: string[] = [];
    let lease = first;
    let endpoint = firstEndpoint;
    for (let tries = 1; ; tries++) {
      if (lease.worker === calls.worker) return this.#deps.take(lease, { leased: true });
      const result = await handOffs.send(endpoint, { lease });
      calls.metrics.handOffs.inc({ result });
      if (result === 'accepted' || tries === MAX_PLACEMENTS) return;
      exclude.push(lease.worker);
      const next = await this.#place(lease.ring, { exclude, replaces: { callRef: lease.callRef, fence: lease.fence } });
      if (next?.kind === 'full') return this.#overflow(lease.ring);
      if (next?.kind !== 'placed' || next.repeated) return;
      lease = next.lease;
      endpoint = next.endpoint;
    }
  }

  async #overflow(ring: RingRecord): Promise<void> {
    const { calls } = this.#deps;
    const { action, redirectTo } = calls.spec.overflow;
    calls.metrics.countSetup('refused');
    try {
      if (action === 'Redirect' && redirectTo) await calls.acs.redirect(ring.incomingCallContext, redirectTo);
      else await calls.acs.reject(ring.incomingCallContext);
    } catch (error) {
      calls.log.warn({ action, code: errorCode(error) }, 'a call for which there is no slot could not be turned away');
    }
  }

  #takeUnreplicated(ring: RingRecord): 'accepted' | 'unavailable' {
    const { calls } = this.#deps;
    const refusal = this.#deps.refusesUnreplicated();
    if (refusal) {
      calls.log.warn({ refusal }, 'Redis is away and this worker may not take the ring by itself');
      return 'unavailable';
    }
    this.#deps.take(
      { callRef: newCallRef(calls.random), fence: 1, ring, callConnectionId: undefined },
      { leased: false },
    );
    return 'accepted';
  }

  /** True when the ring no longer waits. */
  async #tryWaiting(ring: RingRecord): Promise<boolean> {
    const outcome = await this.#place(ring);
    if (outcome === undefined || outcome.kind === 'recovering') return false;
    this.#dispatch(ring, outcome);
    return true;
  }
}
