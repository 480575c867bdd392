import type { AffinityRecord, HeartbeatRecord, Lease } from '../contract/records.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import { errorCode } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import type { HeldLease, LeaseTable, ParkedCallback } from '../state/ports.ts';
import type { Call } from './calls/call.ts';
import type { CallRegistry } from './calls/registry.ts';
import type { Takeovers } from './calls/takeover.ts';

export const BEAT_MS = 1_000;
/** Half of what the lease would need: an orphan is found by a renewal, and must be back within ten seconds of its owner's last sign of life. */
export const RENEW_MS = 2_500;

export interface RecoveryDeps {
  worker: string;
  incarnation: string;
  clock: Clock;
  log: Log;
  leases: Pick<LeaseTable, 'beat' | 'renew' | 'adopt'>;
  registry: CallRegistry;
  takeovers: Takeovers;
  heartbeat(): HeartbeatRecord;
  onAffinity(affinity: AffinityRecord | undefined): void;
  /** Callbacks that others parked for this worker. */
  onInbox(parked: readonly ParkedCallback[]): void;
  /** This process holds the lease only to end the call (the archiver's orphans). */
  ignores(callRef: string): boolean;
  /** A ringing lease that names this worker but was never told. */
  onUnheldRing(lease: Lease): void;
  /** A ringing lease of a worker that is gone. */
  onStrandedRing(lease: Lease): void;
  /** Redis lost what this worker had written of these calls. */
  onRewritten(calls: readonly Call[]): void;
}

/** A worker's standing in Redis: the heartbeat once a second, its leases every two and a half, and what both bring to light. */
export class Recovery {
  readonly #deps: RecoveryDeps;
  readonly #timers: Timer[] = [];
  #beating = false;
  #renewing: Promise<void> | undefined;
  #reassert = true;

  constructor(deps: RecoveryDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { clock } = this.#deps;
    this.#timers.push(
      clock.every(BEAT_MS, () => void this.beat()),
      clock.every(RENEW_MS, () => void this.renew()),
    );
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  /** Redis answers again after an outage: leases come first, then the calls' state. */
  async redisIsBack(): Promise<void> {
    this.#reassert = true;
    await this.beat();
    await this.renew();
  }

  async beat(): Promise<void> {
    if (this.#beating) return;
    this.#beating = true;
    try {
      const { affinity, parked } = await this.#deps.leases.beat(this.#deps.heartbeat());
      this.#deps.onAffinity(affinity);
      if (parked.length > 0) this.#deps.onInbox(parked);
    } catch (error) {
      this.#deps.log.debug({ code: errorCode(error) }, 'no heartbeat: Redis gave no answer');
    } finally {
      this.#beating = false;
    }
  }

  renew(): Promise<void> {
    this.#renewing ??= this.#renew()
      .catch((error: unknown) => {
        this.#deps.log.debug({ code: errorCode(error) }, 'leases not renewed: Redis gave no answer');
      })
      .finally(() => {
        this.#renewing = undefined;
      });
    return this.#renewing;
  }

  async #renew(): Promise<void> {
    const { leases, registry, worker, incarnation } = this.#deps;
    const calls = registry.live();
    for (const call of calls) if (!call.leased) await this.#adopt(call);
    const held = calls.filter((call) => call.leased && !call.over);
    const outcome = await leases.renew({ worker, incarnation, held: held.map(heldLease) });
    const byRef = new Map(held.map((call) => [call.ref, call]));
    for (const lost of outcome.lost) {
      this.#deps.log.warn({ callRef: lost.callRef, fence: lost.fence }, 'the call belongs to another worker now');
      byRef.get(lost.callRef)?.superseded();
    }
    const rewritten = this.#reassert ? held : outcome.rewritten.flatMap((ref) => byRef.get(ref) ?? []);
    this.#reassert = false;
    const standing = rewritten.filter((call) => !call.over);
    if (standing.length > 0) this.#deps.onRewritten(standing);
    this.#findings(outcome);
  }

  #findings(outcome: Awaited<ReturnType<LeaseTable['renew']>>): void {
    const { registry, takeovers, incarnation } = this.#deps;
    for (const lease of outcome.unheld) {
      if (registry.knows(lease.callRef) || this.#deps.ignores(lease.callRef)) continue;
      if (lease.incarnation !== incarnation) void takeovers.take(lease, 'restart');
      else if (lease.state === 'ringing') this.#deps.onUnheldRing(lease);
      else void takeovers.take(lease, 'restart');
    }
    for (const lease of outcome.strandedRings) this.#deps.onStrandedRing(lease);
    for (const lease of outcome.orphans) void takeovers.active(lease);
  }

  async #adopt(call: Call): Promise<void> {
    const { leases, worker, incarnation } = this.#deps;
    const result = await leases.adopt({ worker, incarnation, lease: heldLease(call) });
    if (result.kind === 'adopted') {
      call.fence = result.fence;
      call.leased = true;
    } else {
      this.#deps.log.warn({ callRef: call.ref }, 'a ring taken while Redis was away belongs to another worker');
      call.superseded();
    }
  }
}

function heldLease(call: Call): HeldLease {
  return {
    callRef: call.ref,
    fence: call.fence,
    callConnectionId: call.callConnectionId,
    ring: call.ring,
    placedAtMs: 0,
  };
}
